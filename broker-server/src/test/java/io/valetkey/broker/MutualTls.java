package io.valetkey.broker;

import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** A broker with certificates of its own that asks for those of its callers at both ends. */
final class MutualTls {

  private MutualTls() {}

  /** Shows this certificate from now on, to a broker that starts or watches its files. */
  static void show(Path folder, TestCertificate certificate) throws IOException {
    Files.writeString(folder.resolve("own.key"), certificate.keyPem());
    Files.writeString(folder.resolve("own.pem"), certificate.certificatePem());
  }

  /**
   * Its settings, with a key for destinations in the file {@code openai}.
   *
   * @param url of its port for certificates
   * @param folder where its certificate is
   * @param authority whom it believes
   */
  static Map<String, String> settings(String url, Path folder, TestAuthority authority)
      throws IOException {
    Path files = Files.createDirectories(folder.resolve("files"));
    Files.writeString(files.resolve("openai"), "sk-real");
    String bundle = "spring.ssl.bundle.pem.own.keystore.";
    Map<String, String> settings = new HashMap<>();
    settings.put("valetkey.mtls.port", url.substring(url.lastIndexOf(':') + 1));
    settings.put("valetkey.mtls.address", "127.0.0.1");
    settings.put("valetkey.mtls.public-url", url);
    settings.put("valetkey.mtls.ssl-bundle", "own");
    settings.put("valetkey.gateway.ssl-bundle", "own");
    settings.put("valetkey.gateway.client-certificates", "true");
    settings.put(bundle + "certificate", folder.resolve("own.pem").toString());
    settings.put(bundle + "private-key", folder.resolve("own.key").toString());
    settings.put("valetkey.file-source.directory", files.toString());
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    settings.put("valetkey.gateway.trusted-certificates", authority.writePem(folder).toString());
    return settings;
  }
}
