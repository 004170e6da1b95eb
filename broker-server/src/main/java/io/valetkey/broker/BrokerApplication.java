package io.valetkey.broker;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Starts the broker. */
@SpringBootApplication
public class BrokerApplication {

  /** Starts the broker with the given Spring arguments. */
  public static void main(String[] args) {
    SpringApplication.run(BrokerApplication.class, args);
  }
}
