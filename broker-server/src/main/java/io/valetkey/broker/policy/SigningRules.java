package io.valetkey.broker.policy;

import io.valetkey.broker.policy.SignatureTemplate.Place;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/** What the signing of requests must be. */
final class SigningRules {

  private static final Pattern AWS_WORD = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
  private static final Pattern LABEL = Pattern.compile("[a-z*][a-z0-9_.*-]{0,63}");
  private static final Pattern FIELD_NAME = Pattern.compile("[a-z0-9!#$%&'*+.^_`|~-]{1,128}");
  private static final int MOST_HEADERS = 8;
  private static final int MOST_COMPONENTS = 32;
  private static final Duration LONGEST = Duration.ofHours(1);
  private static final Set<Place> SIGNATURE =
      EnumSet.of(Place.SIGNATURE_HEX, Place.SIGNATURE_BASE64);

  /** What a header says that is not in the request anyhow. */
  private static final Set<Place> OF_A_HEADER =
      EnumSet.of(
          Place.TIMESTAMP,
          Place.NONCE,
          Place.BODY_SHA256_HEX,
          Place.BODY_SHA256_BASE64,
          Place.SIGNATURE_HEX,
          Place.SIGNATURE_BASE64);

  /** No credential may stand in these, and yet they are the caller's. */
  private static final Set<String> OF_THE_CALLER = Set.of("content-type", "content-encoding");

  private SigningRules() {}

  static void check(DestinationSpec spec, Errors errors) {
    Signing signing = spec.signing();
    if (signing == null) {
      return;
    }
    if (spec.slot() != null || spec.slots() != null) {
      errors.invalid("/signing", "must not be there together with slot or slots");
    }
    if (Boolean.TRUE.equals(spec.http2())) {
      errors.invalid("/http2", "must be left out: what is signed is sent by HTTP/1.1");
    }
    switch (signing) {
      case Signing.AwsSigV4 aws -> checkAws(spec, aws, errors);
      case Signing.Hmac hmac -> checkHmac(hmac, errors);
      case Signing.HttpMessage message -> checkMessage(message, errors);
    }
  }

  private static void checkAws(DestinationSpec spec, Signing.AwsSigV4 aws, Errors errors) {
    if (!AWS_WORD.matcher(aws.service()).matches()) {
      errors.invalid("/signing/service", "must be a service as AWS signatures name it, as in s3");
    }
    if (!AWS_WORD.matcher(aws.region()).matches()) {
      errors.invalid("/signing/region", "must be a region of AWS, as in eu-central-1");
    }
    if (Boolean.TRUE.equals(spec.rawPath()) && !aws.isS3()) {
      errors.invalid("/rawPath", "must be left out: of AWS, only S3 signs paths as they are");
    }
  }

  private static void checkHmac(Signing.Hmac hmac, Errors errors) {
    if (hmac.message().hasAny(SIGNATURE)) {
      errors.invalid("/signing/message", "cannot hold the signature that is made of it");
    }
    List<Signing.Hmac.Header> headers = hmac.headers();
    if (headers.isEmpty() || headers.size() > MOST_HEADERS) {
      errors.invalid("/signing/headers", "must have 1 to " + MOST_HEADERS + " entries");
      return;
    }
    Set<Place> elsewhere = EnumSet.complementOf(EnumSet.copyOf(OF_A_HEADER));
    Set<String> names = new HashSet<>();
    boolean signature = false;
    for (int i = 0; i < headers.size(); i++) {
      String at = "/signing/headers/" + i;
      SignatureTemplate value = headers.get(i).value();
      DestinationRules.checkHeader(at + "/header", headers.get(i).header(), errors);
      if (!names.add(headers.get(i).header().toLowerCase(Locale.ROOT))) {
        errors.invalid(at + "/header", "is there twice");
      }
      if (value.hasAny(elsewhere)) {
        errors.invalid(
            at + "/value", "can hold the signature, the timestamp, the nonce, hashes and fields");
      } else if (value.hasLineFeed()) {
        errors.invalid(at + "/value", "must be one line");
      }
      signature |= value.hasAny(SIGNATURE);
    }
    if (!signature) {
      errors.invalid("/signing/headers", "must have the signature in one of them");
    }
  }

  private static void checkMessage(Signing.HttpMessage message, Errors errors) {
    if (!LABEL.matcher(message.label()).matches()) {
      errors.invalid(
          "/signing/label", "must be a key of RFC 8941: lower-case letters, digits, _ - . *");
    }
    String keyId = message.keyId();
    if (keyId != null && !keyId.matches("[ !#-\\[\\]-~]{1,256}")) {
      errors.invalid(
          "/signing/keyId", "must be 1 to 256 printable ASCII characters without \" and \\");
    }
    Duration expires = message.expires();
    if (expires != null && (expires.toSeconds() < 1 || expires.compareTo(LONGEST) > 0)) {
      errors.invalid("/signing/expires", "must be from 1s to 1h");
    }
    List<String> components = message.components();
    if (components.isEmpty() || components.size() > MOST_COMPONENTS) {
      errors.invalid("/signing/components", "must have 1 to " + MOST_COMPONENTS + " entries");
    }
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < components.size(); i++) {
      String component = components.get(i);
      String at = "/signing/components/" + i;
      if (!seen.add(component)) {
        errors.invalid(at, "is there twice (RFC 9421 section 2.5)");
      } else if (component.startsWith("@")) {
        if (!Signing.HttpMessage.DERIVED.contains(component)) {
          errors.invalid(at, "must be one of " + String.join(", ", Signing.HttpMessage.DERIVED));
        }
      } else if (!FIELD_NAME.matcher(component).matches()) {
        errors.invalid(at, "must be a field's name in lower case, or a derived component");
      } else if (isNotTheCallers(component)) {
        errors.invalid(at, "is a field that does not go on as the caller sent it");
      }
    }
  }

  private static boolean isNotTheCallers(String field) {
    return field.equals("signature")
        || field.equals("signature-input")
        || DestinationSpec.KNOWN_SLOTS.contains(field)
        || (DestinationRules.isOfTheGateway(field) && !OF_THE_CALLER.contains(field));
  }
}
