package io.valetkey.broker.upstream;

import java.io.ByteArrayInputStream;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;

/**
 * What AWS's Security Token Service answers, as XML. Strict: all of its namespace, each value once,
 * and no document type, hence no entities but XML's own.
 */
final class StsAnswer {

  private static final String NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
  private static final String CREDENTIALS =
      "/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
  private static final String ERROR = "/ErrorResponse/Error/Code";
  private static final Set<String> WANTED =
      Set.of(
          CREDENTIALS + "AccessKeyId",
          CREDENTIALS + "SecretAccessKey",
          CREDENTIALS + "SessionToken",
          CREDENTIALS + "Expiration",
          ERROR);
  private static final Pattern CODE = Pattern.compile("[A-Za-z.]{1,64}");
  private static final int DEEPEST = 8;

  /** Not a record: secrets are in it. */
  static final class Session {
    private final String accessKeyId;
    private final String secretAccessKey;
    private final String sessionToken;
    private final Instant expiration;

    private Session(
        String accessKeyId, String secretAccessKey, String sessionToken, Instant expiration) {
      this.accessKeyId = accessKeyId;
      this.secretAccessKey = secretAccessKey;
      this.sessionToken = sessionToken;
      this.expiration = expiration;
    }

    String accessKeyId() {
      return accessKeyId;
    }

    String secretAccessKey() {
      return secretAccessKey;
    }

    String sessionToken() {
      return sessionToken;
    }

    Instant expiration() {
      return expiration;
    }
  }

  private StsAnswer() {}

  /** The session; null if the answer holds none. */
  static @Nullable Session session(byte[] body) {
    Map<String, String> values = read(body);
    String accessKeyId = values.get(CREDENTIALS + "AccessKeyId");
    String secretAccessKey = values.get(CREDENTIALS + "SecretAccessKey");
    String sessionToken = values.get(CREDENTIALS + "SessionToken");
    String expiration = values.get(CREDENTIALS + "Expiration");
    if (accessKeyId == null
        || secretAccessKey == null
        || sessionToken == null
        || expiration == null) {
      return null;
    }
    try {
      return new Session(accessKeyId, secretAccessKey, sessionToken, Instant.parse(expiration));
    } catch (DateTimeException e) {
      return null;
    }
  }

  /** The code of an error; null if the answer is none of AWS's. */
  static @Nullable String errorCode(byte[] body) {
    String code = read(body).get(ERROR);
    return code != null && CODE.matcher(code).matches() ? code : null;
  }

  /** The wanted values by their paths; none if anything is not as it must be. */
  private static Map<String, String> read(byte[] body) {
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    factory.setProperty(XMLInputFactory.IS_COALESCING, true);
    try {
      XMLStreamReader reader = factory.createXMLStreamReader(new ByteArrayInputStream(body));
      try {
        return read(reader);
      } finally {
        reader.close();
      }
    } catch (XMLStreamException e) {
      return Map.of();
    }
  }

  private static Map<String, String> read(XMLStreamReader reader) throws XMLStreamException {
    Map<String, String> values = new HashMap<>();
    Deque<String> paths = new ArrayDeque<>();
    paths.push("");
    StringBuilder text = new StringBuilder();
    while (reader.hasNext()) {
      switch (reader.next()) {
        case XMLStreamConstants.START_ELEMENT -> {
          if (!NAMESPACE.equals(reader.getNamespaceURI())
              || paths.size() > DEEPEST
              || WANTED.contains(paths.getFirst())) {
            throw new XMLStreamException("an element that AWS does not answer");
          }
          paths.push(paths.getFirst() + "/" + reader.getLocalName());
          text.setLength(0);
        }
        case XMLStreamConstants.END_ELEMENT -> {
          String path = paths.pop();
          if (WANTED.contains(path) && values.put(path, text.toString()) != null) {
            throw new XMLStreamException("a value that is there twice");
          }
          text.setLength(0);
        }
        case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA, XMLStreamConstants.SPACE ->
            text.append(reader.getText());
        case XMLStreamConstants.COMMENT, XMLStreamConstants.END_DOCUMENT -> {}
        default -> throw new XMLStreamException("a document type, an entity or an instruction");
      }
    }
    return values;
  }
}
