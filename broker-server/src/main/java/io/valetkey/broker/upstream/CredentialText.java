package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a credential has to look like, and what it is called when it does not. */
final class CredentialText {

  /** The largest credential in bytes of UTF-8: no header field of that size would be accepted. */
  static final int MAX_BYTES = 16 * 1024;

  private CredentialText() {}

  /** What errors and logs call the reference. */
  static String name(DestinationSpec.Credential reference) {
    return switch (reference) {
      case DestinationSpec.Credential.File file -> "file " + printable(file.name());
      case DestinationSpec.Credential.VaultKv kv ->
          printable(
              "vault-kv "
                  + kv.mount()
                  + "/"
                  + kv.path()
                  + (kv.field() == null ? "" : "#" + kv.field()));
      case DestinationSpec.Credential.Fields fields -> name(fields.of());
      case DestinationSpec.Credential.AwsWebIdentity role ->
          printable("the session of " + role.roleArn());
      case DestinationSpec.Credential.Minted minted ->
          printable("the token of " + minted.endpoint());
      case DestinationSpec.Credential.VaultDynamic dynamic ->
          printable("vault-dynamic " + dynamic.mount() + "/" + dynamic.role());
      case DestinationSpec.Credential.VaultPki pki ->
          printable("the certificate of " + pki.mount() + "/sign/" + pki.role());
      case DestinationSpec.Credential.Certificate certificate -> name(certificate.of());
      case DestinationSpec.Credential.None _ -> "no credential";
    };
  }

  /**
   * Accepts text that can stand in one header field.
   *
   * <p>A control character is refused rather than removed: CR or LF would let whoever can write the
   * secret add header fields of their own (RFC 9110 section 5.5), and a value that was silently
   * changed is a credential that nobody stored.
   *
   * @throws RefusedException if it is empty, too large or holds a control character
   */
  static SecretValue check(DestinationSpec.Credential reference, String text) {
    return check(reference, "", text);
  }

  /**
   * Accepts a private key, which has line breaks and goes into no header.
   *
   * @throws RefusedException if it is empty or too large
   */
  static SecretValue key(DestinationSpec.Credential reference, String text) {
    if (text.isBlank()) {
      throw refused(reference, "is empty");
    }
    if (text.length() > MAX_BYTES) {
      throw refused(reference, "is larger than 16 KiB");
    }
    return SecretValue.of(text);
  }

  /**
   * Takes fields out of a secret.
   *
   * @param secret what is at the place, by name; values that are no text are of other types
   * @throws RefusedException if a required one is missing, or one that is taken is no such text
   */
  static CredentialFields pick(
      DestinationSpec.Credential reference,
      Map<String, ?> secret,
      List<String> required,
      List<String> optional) {
    Map<String, SecretValue> values = new LinkedHashMap<>();
    for (String name : required) {
      if (secret.get(name) == null) {
        throw refused(reference, "has no field " + printable(name));
      }
      values.put(name, field(reference, name, secret.get(name)));
    }
    for (String name : optional) {
      Object value = secret.get(name);
      if (value != null && !value.equals("")) {
        values.put(name, field(reference, name, value));
      }
    }
    return CredentialFields.of(values);
  }

  private static SecretValue field(
      DestinationSpec.Credential reference, String name, @Nullable Object value) {
    if (value instanceof String text) {
      return check(reference, "in field " + printable(name) + " ", text);
    }
    throw refused(reference, "in field " + printable(name) + " is not text");
  }

  private static SecretValue check(
      DestinationSpec.Credential reference, String where, String text) {
    if (text.isEmpty()) {
      throw refused(reference, where + "is empty");
    }
    if (text.length() > MAX_BYTES || text.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
      throw refused(reference, where + "is larger than 16 KiB");
    }
    if (text.chars().anyMatch(Character::isISOControl)) {
      throw refused(reference, where + "holds a line break or another control character");
    }
    return SecretValue.of(text);
  }

  /** A refusal that is certain: the source answered, and there is no usable credential. */
  static RefusedException refused(DestinationSpec.Credential reference, String why) {
    return new RefusedException(ProblemCode.CREDENTIAL_UNAVAILABLE, name(reference) + " " + why);
  }

  /** A refusal for lack of an answer. */
  static SourceAwayException away(DestinationSpec.Credential reference, String why) {
    return new SourceAwayException(name(reference) + " " + why);
  }

  private static String printable(String text) {
    String clean = text.replaceAll("\\p{Cntrl}", "?");
    return clean.length() <= 200 ? clean : clean.substring(0, 200) + "…";
  }
}
