package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A request to AWS, signed anew. Nothing of the caller's own signature goes on: neither its
 * credentials, which are no real ones, nor its dates, nor the signatures of its chunks.
 *
 * <p>The hash of the body is the caller's where it states one; a wrong one makes AWS refuse the
 * request. S3 takes bodies over TLS whose hash is not signed, so they are streamed; for any other
 * service a body without a stated hash has to be held and read first.
 */
final class AwsRequest {

  private static final String HASH = "x-amz-content-sha256";
  private static final String LENGTH = "x-amz-decoded-content-length";
  private static final String TRAILER = "x-amz-trailer";
  private static final String CODING = "aws-chunked";
  private static final String NO_BODY = SigV4.sha256(new byte[0]);
  private static final String TRAILER_PAYLOAD = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern STREAMING =
      Pattern.compile("STREAMING-(?:UNSIGNED|AWS4-(?:HMAC|ECDSA-P256)-SHA256)-PAYLOAD(-TRAILER)?");
  private static final Pattern KEY_ID = Pattern.compile("\\w{1,128}");

  private AwsRequest() {}

  /** Whether the body has to be read before the request can be signed. */
  static boolean needsBody(Signing.AwsSigV4 signing, Fields received) {
    return !signing.isS3() && received.announceBody() && !SHA256.matcher(hash(received)).matches();
  }

  /**
   * Signs the request.
   *
   * @param received the caller's fields, which say what its body is
   * @param held the whole body, where {@link #needsBody} asked for it
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if what the caller says about its
   *     body has no one meaning; {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if the credential is
   *     none of AWS
   */
  static UpstreamRequest sign(
      Draft draft,
      Fields received,
      Signing.AwsSigV4 signing,
      Credentials.Credential credential,
      byte @Nullable [] held,
      Instant now) {
    Body body = body(signing, received, held);
    Fields fields = body.describe(draft.fields());
    fields.add("X-Amz-Date", SigV4.time(now));
    fields.add("X-Amz-Content-Sha256", body.hash());
    SecretValue token = credential.fields().get(Signing.AwsSigV4.SESSION_TOKEN);
    if (token != null) {
      fields.add("X-Amz-Security-Token", token.reveal());
    }
    Fields signed = new Fields().add("Host", draft.host());
    for (Fields.Field field : fields.list()) {
      if (isSigned(field.key())) {
        signed.add(field.name(), field.value());
      }
    }
    String keyId = credential.required(Signing.AwsSigV4.KEY_ID).reveal();
    if (!KEY_ID.matcher(keyId).matches()) {
      throw new RefusedException(
          ProblemCode.CREDENTIAL_UNAVAILABLE, "the access key id is none of AWS");
    }
    var request =
        new SigV4.Request(draft.method(), draft.path(), draft.query(), signed, body.hash());
    fields.add(
        "Authorization",
        new SigV4(signing.service(), signing.region())
            .authorization(request, keyId, credential.required(Signing.AwsSigV4.SECRET_KEY), now));
    return new UpstreamRequest(draft.with(fields), body.length(), body.decoder());
  }

  /** What may change on the way to AWS, or says nothing about the request, is not signed. */
  private static boolean isSigned(String key) {
    return key.startsWith("x-amz-") || key.equals("content-type") || key.equals("content-md5");
  }

  /**
   * What goes upstream as the body.
   *
   * @param hash what the signature says about it
   * @param length its length; null if it is not known or there is none
   * @param decoder what the caller's bytes go through; null if they are sent as they are
   */
  private record Body(String hash, @Nullable String length, @Nullable AwsChunked decoder) {

    /** The fields that describe the body as it will be. */
    Fields describe(Fields fields) {
      if (decoder == null || hash.equals(TRAILER_PAYLOAD)) {
        return fields;
      }
      // No chunks any more.
      List<String> codings = new ArrayList<>(fields.members("content-encoding"));
      codings.remove(CODING);
      Fields described =
          fields.without(key -> key.equals("content-encoding") || key.equals(LENGTH));
      return codings.isEmpty()
          ? described
          : described.add("Content-Encoding", String.join(",", codings));
    }
  }

  private static Body body(Signing.AwsSigV4 signing, Fields received, byte @Nullable [] held) {
    String hash = hash(received);
    String length = received.first("content-length");
    if (STREAMING.matcher(hash).matches() && signing.isS3() && received.announceBody()) {
      return streamed(received, hash.endsWith("-TRAILER"));
    }
    if (held != null) {
      return new Body(SigV4.sha256(held), String.valueOf(held.length), null);
    }
    if (SHA256.matcher(hash).matches()) {
      return new Body(hash, length, null);
    }
    if (!hash.isEmpty() && !hash.equals(SigV4.UNSIGNED_PAYLOAD)) {
      throw malformed("X-Amz-Content-SHA256 is neither a hash nor a word for none");
    }
    return new Body(received.announceBody() ? SigV4.UNSIGNED_PAYLOAD : NO_BODY, length, null);
  }

  /**
   * A body in signed chunks. Trailers hold checksums, which S3 takes behind chunks without
   * signatures too; without trailers the bare content says the same.
   */
  private static Body streamed(Fields received, boolean trailers) {
    List<String> lengths = received.all(LENGTH);
    if (lengths.size() != 1 || !lengths.getFirst().matches("[0-9]{1,15}")) {
      throw malformed("the length of the decoded content is not given once");
    }
    long length = Long.parseLong(lengths.getFirst());
    Set<String> announced = Set.copyOf(received.members(TRAILER));
    if (trailers == announced.isEmpty()) {
      throw malformed("X-Amz-Trailer and the kind of the payload contradict each other");
    }
    var decoder = new AwsChunked(trailers, announced, length);
    return trailers
        ? new Body(TRAILER_PAYLOAD, null, decoder)
        : new Body(SigV4.UNSIGNED_PAYLOAD, String.valueOf(length), decoder);
  }

  private static String hash(Fields received) {
    List<String> hashes = received.all(HASH);
    if (hashes.size() > 1) {
      throw malformed("X-Amz-Content-SHA256 is given twice");
    }
    return hashes.isEmpty() ? "" : hashes.getFirst().strip();
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
