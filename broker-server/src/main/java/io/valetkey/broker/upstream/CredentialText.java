package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;

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
          printable("vault-kv " + kv.mount() + "/" + kv.path() + "#" + kv.field());
      case DestinationSpec.Credential.VaultDynamic dynamic ->
          printable("vault-dynamic " + dynamic.mount() + "/" + dynamic.role());
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
    if (text.isEmpty()) {
      throw refused(reference, "is empty");
    }
    if (text.length() > MAX_BYTES || text.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
      throw refused(reference, "is larger than 16 KiB");
    }
    if (text.chars().anyMatch(Character::isISOControl)) {
      throw refused(reference, "holds a line break or another control character");
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
