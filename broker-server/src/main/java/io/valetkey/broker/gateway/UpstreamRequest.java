package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What goes upstream: the caller's method, path and harmless fields, and last of all the
 * credential. It has no {@code toString} of its own and is not a record, because the credential is
 * in it.
 */
final class UpstreamRequest {

  /** The largest body that is held to be signed, in bytes, whatever the destination allows. */
  static final int MOST_HELD = 8 << 20;

  private static final byte[] NO_BODY = new byte[0];

  private final String method;
  private final String uri;
  private final Fields fields;
  private final @Nullable String length;
  private final @Nullable AwsChunked decoder;

  /**
   * The draft with its credential.
   *
   * @param length the length of the body; null if that is not known or there is none
   * @param decoder what the caller's body goes through; null if it is sent as it came
   */
  UpstreamRequest(Draft draft, @Nullable String length, @Nullable AwsChunked decoder) {
    this.method = draft.method();
    this.uri = draft.target();
    this.fields = draft.fields();
    this.length = length;
    this.decoder = decoder;
  }

  /**
   * Builds the request.
   *
   * @param held the whole body, where it had to be read before; else null
   * @param now the time of signatures
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if the credential cannot
   *     stand in a header
   */
  static UpstreamRequest rebuild(
      Guard.Accepted accepted,
      Destination target,
      Credentials.Credential credential,
      byte @Nullable [] held,
      Instant now) {
    Draft draft = Draft.of(accepted, target);
    byte[] body = held == null ? NO_BODY : held;
    switch (target.injection().signing()) {
      case null -> fill(target.injection().slots(), credential, draft.fields());
      case Signing.AwsSigV4 aws -> {
        return AwsRequest.sign(draft, accepted.fields(), aws, credential, held, now);
      }
      case Signing.Hmac hmac -> HmacSignature.sign(draft, hmac, credential, body, now);
      case Signing.HttpMessage message ->
          MessageSignature.sign(draft, message, credential, body, now);
    }
    return new UpstreamRequest(draft, accepted.fields().first("content-length"), null);
  }

  private static void fill(
      List<Destination.Slot> slots, Credentials.Credential credential, Fields fields) {
    for (Destination.Slot slot : slots) {
      SecretValue value = credential.fields().get(slot.field());
      if (value == null) {
        throw new RefusedException(
            ProblemCode.CREDENTIAL_UNAVAILABLE, "the credential has no value for " + slot.header());
      }
      fields.add(slot.header(), slotValue(slot, value.reveal()));
    }
  }

  /** Whether the body has to be read before the request can be built. */
  static boolean needsBody(Destination target, Fields received) {
    return switch (target.injection().signing()) {
      case null -> false;
      case Signing.AwsSigV4 aws -> AwsRequest.needsBody(aws, received);
      case Signing.Hmac hmac -> received.announceBody() && hmac.readsBody();
      case Signing.HttpMessage message -> received.announceBody() && message.readsBody();
    };
  }

  /**
   * A value of a credential that can stand in a header.
   *
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if it cannot
   */
  static String headerText(String credential) {
    if (credential.chars().anyMatch(c -> c < ' ' || c == 0x7f)) {
      throw new RefusedException(
          ProblemCode.CREDENTIAL_UNAVAILABLE, "the credential has a control character");
    }
    return credential;
  }

  String method() {
    return method;
  }

  /** Path and query; the path exactly as it was matched. */
  String uri() {
    return uri;
  }

  Fields fields() {
    return fields;
  }

  /** The length of the body as it is sent; null if that is not known or there is none. */
  @Nullable String length() {
    return length;
  }

  /** What the caller's body goes through on its way; null if it is sent as it came. */
  @Nullable AwsChunked decoder() {
    return decoder;
  }

  private static String slotValue(Destination.Slot slot, String value) {
    String credential = headerText(value);
    if (slot.basicUser() == null) {
      return slot.prefix() + credential + slot.suffix();
    }
    byte[] pair = (slot.basicUser() + ":" + credential).getBytes(StandardCharsets.UTF_8);
    return "Basic " + Base64.getEncoder().encodeToString(pair);
  }
}
