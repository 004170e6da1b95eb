package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.util.AttributeKey;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What differs between the ways in: the form of the request target, the place of the token, and how
 * a refused token is answered. Everything else, the decision first of all, is the same. A property
 * of the connection: it never changes once a request has begun.
 */
abstract sealed class Entrance {

  private static final AttributeKey<Entrance> KEY = AttributeKey.valueOf(Entrance.class, "way");

  private final Way way;

  private Entrance(Way way) {
    this.way = way;
  }

  /** The entrance of a connection; the base URL unless somebody said otherwise. */
  static Entrance of(HttpConnection connection) {
    Entrance known = ((ConnectionBase) connection).channel().attr(KEY).get();
    return known == null ? BaseUrl.INSTANCE : known;
  }

  /** From now on requests of this connection come in here. */
  void take(Channel channel) {
    channel.attr(KEY).set(this);
  }

  Way way() {
    return way;
  }

  /** Whether it is our own address, where the {@code Host} may name the destination. */
  boolean isOwnAddress() {
    return way.namesDestination();
  }

  /**
   * Accepts or refuses a request head.
   *
   * @throws io.valetkey.broker.problem.RefusedException with what is wrong
   */
  abstract Guard.Accepted accept(Guard.Head head);

  /**
   * The token, not verified.
   *
   * @return null if there is none, and here the certificate of the connection may stand in its
   *     place
   * @throws io.valetkey.broker.problem.RefusedException if there is not exactly one
   */
  abstract @Nullable String token(Fields fields);

  /** Whether the token came with the scheme that announces a proof (RFC 9449 section 7.1). */
  boolean announcesProof(Fields fields) {
    return false;
  }

  /** The answer to a refusal for this true reason. */
  GatewayProblem problem(ProblemCode reason, UUID decisionId) {
    return GatewayProblem.of(reason, decisionId);
  }

  /** {@code /d/{destination}/{path}} at our own address. */
  static final class BaseUrl extends Entrance {

    static final BaseUrl INSTANCE = new BaseUrl();

    private BaseUrl() {
      super(Way.BASE_URL);
    }

    @Override
    Guard.Accepted accept(Guard.Head head) {
      return Guard.accept(head);
    }

    @Override
    String token(Fields fields) {
      return TokenSlots.read(fields);
    }

    @Override
    boolean announcesProof(Fields fields) {
      return TokenSlots.announcesProof(fields);
    }
  }

  /** A host of its own for each destination, at our own address. */
  static final class ByHost extends Entrance {

    private final DestinationHosts hosts;

    ByHost(DestinationHosts hosts) {
      super(Way.HOST);
      this.hosts = hosts;
    }

    /** Whether a request with these values of {@code Host} comes in here, if anywhere. */
    boolean isMeant(List<String> values) {
      return hosts.areBelow(values);
    }

    @Override
    Guard.Accepted accept(Guard.Head head) {
      return Guard.acceptAtHost(hosts, head);
    }

    @Override
    String token(Fields fields) {
      return TokenSlots.read(fields);
    }

    @Override
    boolean announcesProof(Fields fields) {
      return TokenSlots.announcesProof(fields);
    }
  }

  /** The whole URL as the request target, on the forward proxy's port. */
  static final class AbsoluteForm extends Entrance {

    private final boolean certificateSuffices;

    /** With this, it is also where the token of a CONNECT is found. */
    AbsoluteForm(boolean certificateSuffices) {
      super(Way.ABSOLUTE_FORM);
      this.certificateSuffices = certificateSuffices;
    }

    @Override
    Guard.Accepted accept(Guard.Head head) {
      return Guard.acceptAbsolute(head);
    }

    @Override
    @Nullable String token(Fields fields) {
      // What is there counts: a slot that holds no token is not an empty one.
      return certificateSuffices && !fields.has("proxy-authorization")
          ? null
          : TokenSlots.readProxy(fields);
    }

    @Override
    GatewayProblem problem(ProblemCode reason, UUID decisionId) {
      return GatewayProblem.ofProxy(reason, decisionId);
    }
  }

  /** In a tunnel whose TLS ends here; the token, or that there is none, is that of the CONNECT. */
  static final class Intercepted extends Entrance {

    private final Authority authority;
    private final @Nullable String token;

    Intercepted(Authority authority, @Nullable String token) {
      super(Way.INTERCEPT);
      this.authority = authority;
      this.token = token;
    }

    @Override
    Guard.Accepted accept(Guard.Head head) {
      return Guard.acceptInside(authority, head);
    }

    @Override
    @Nullable String token(Fields fields) {
      return token;
    }
  }
}
