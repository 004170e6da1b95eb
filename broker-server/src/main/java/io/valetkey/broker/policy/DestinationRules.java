package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.DestinationSpec.Slot;
import java.net.InetAddress;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a destination must be. */
final class DestinationRules {

  /** Headers that describe the connection or the message; a credential there breaks either. */
  private static final Set<String> RESERVED_HEADERS =
      Set.of(
          "accept-encoding",
          "connection",
          "content-encoding",
          "content-length",
          "content-type",
          "cookie",
          "expect",
          "forwarded",
          "host",
          "http2-settings",
          "keep-alive",
          "proxy-authenticate",
          "proxy-authorization",
          "proxy-connection",
          "set-cookie",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "via");

  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}");
  private static final Pattern VAULT_SEGMENT = Pattern.compile("[A-Za-z0-9_.@:+=-]{1,128}");
  private static final Pattern FILE_NAME = Pattern.compile("(?!\\.)[A-Za-z0-9._-]{1,128}");
  private static final String PLACEHOLDER = "{credential}";
  private static final int MOST_SLOTS = 8;
  private static final long MOST_BODY = 1L << 30;

  private final Predicate<InetAddress> allowed;
  private final LeaseRules leaseRules;
  private final MintedRules mintedRules;
  private final TunnelRules tunnelRules;

  /**
   * Rules.
   *
   * @param allowed which addresses the gateway may connect to
   * @param leasable which addresses agents may be given credentials for
   */
  DestinationRules(Predicate<InetAddress> allowed, Predicate<InetAddress> leasable) {
    this.allowed = allowed;
    this.mintedRules = new MintedRules(allowed);
    this.leaseRules = new LeaseRules(leasable);
    this.tunnelRules = new TunnelRules(allowed);
  }

  void check(DestinationSpec spec, Errors errors) {
    switch (spec.kind()) {
      case HTTP -> checkHttp(spec, errors);
      case TUNNEL -> tunnelRules.check(spec, errors);
      case LEASE, AWS -> leaseRules.check(spec, errors);
    }
  }

  private void checkHttp(DestinationSpec spec, Errors errors) {
    String originError = WebAddress.originError(spec.origin(), allowed);
    if (originError != null) {
      errors.invalid("/origin", originError);
    }
    if (spec.clientCertificate() != null) {
      CertificateRules.check(spec.clientCertificate(), errors);
    }
    boolean severalFields = Destination.hasFields(spec);
    if (spec.credential() instanceof Credential.None) {
      refuseWithoutCredential("/slot", spec.slot(), errors);
      refuseWithoutCredential("/slots", spec.slots(), errors);
      refuseWithoutCredential("/signing", spec.signing(), errors);
    } else if (spec.credential() instanceof Credential.Minted minted) {
      mintedRules.check(minted, errors);
      if (minted.secret() != null) {
        checkStored("/credential/secret", minted.secret(), errors, false);
      }
      if (minted instanceof Credential.AwsWebIdentity) {
        if (!(spec.signing() instanceof Signing.AwsSigV4)) {
          errors.add(
              "/signing", FieldError.REQUIRED, "must be for AWS: its sessions are no tokens");
        }
      } else if (severalFields) {
        errors.invalid("/credential/source", "is one token: no slot can name a field of it");
      }
    } else {
      checkStored("/credential", spec.credential(), errors, severalFields);
    }
    checkSlots(spec, errors);
    SigningRules.check(spec, errors);
    checkAtMost("/timeout", spec.timeout(), Duration.ofMinutes(10), "10m", errors);
    checkMaxStream(spec.maxStream(), errors);
    if (spec.maxRequestBody() != null && spec.maxRequestBody().bytes() > MOST_BODY) {
      errors.invalid("/maxRequestBody", "must be at most 1GiB");
    }
  }

  private static void refuseWithoutCredential(
      String pointer, @Nullable Object value, Errors errors) {
    if (value != null) {
      errors.invalid(pointer, "must be left out: there is no credential that could go there");
    }
  }

  private static void checkStored(
      String at, Credential credential, Errors errors, boolean severalFields) {
    switch (credential) {
      case Credential.VaultKv kv -> checkVault(at, kv, errors, severalFields);
      case Credential.File(String name) -> {
        if (!FILE_NAME.matcher(name).matches()) {
          errors.invalid(at + "/name", "must be a file name of letters, digits, . _ and -");
        }
      }
      case Credential.VaultDynamic _,
          Credential.VaultPki _,
          Credential.Certificate _,
          Credential.Fields _,
          Credential.Minted _,
          Credential.None _ ->
          errors.invalid(at + "/source", "must be vault-kv or file where the gateway uses it");
    }
  }

  private static void checkVault(
      String at, Credential.VaultKv kv, Errors errors, boolean severalFields) {
    checkMount(at + "/mount", kv.mount(), errors);
    String pathError = pathError(kv.path());
    if (pathError != null) {
      errors.invalid(at + "/path", pathError);
    }
    if (severalFields && kv.field() != null) {
      errors.invalid(at + "/field", "must be left out: slots or signing say which fields");
    } else if (!severalFields && kv.field() == null) {
      errors.add(at + "/field", FieldError.REQUIRED, "is required");
    } else if (kv.field() != null && !VAULT_SEGMENT.matcher(kv.field()).matches()) {
      errors.invalid(at + "/field", "must be the name of one field of the secret");
    }
  }

  static void checkMount(String at, String mount, Errors errors) {
    String mountError = pathError(mount);
    if (mountError != null) {
      errors.invalid(at, mountError);
    } else if (isReserved(mount)) {
      errors.invalid(at, "must not be one of Vault's own mounts");
    }
  }

  private static boolean isReserved(String mount) {
    String first = mount.split("/", 2)[0].toLowerCase(Locale.ROOT);
    return Set.of("sys", "auth", "identity", "cubbyhole").contains(first);
  }

  private static @Nullable String pathError(String path) {
    for (String segment : path.split("/", -1)) {
      boolean dots = segment.equals(".") || segment.equals("..");
      if (dots || !VAULT_SEGMENT.matcher(segment).matches()) {
        return "must be segments of letters, digits and _ . @ : + = - with single slashes between";
      }
    }
    return path.length() > 512 ? "must be at most 512 characters" : null;
  }

  private static void checkSlots(DestinationSpec spec, Errors errors) {
    if (spec.slots() == null) {
      if (spec.slot() != null) {
        checkSlot("/slot", spec.slot(), errors);
      }
      return;
    }
    if (spec.slot() != null) {
      errors.invalid("/slots", "must not be there together with slot");
    }
    List<Slot> slots = spec.slots();
    if (slots.isEmpty() || slots.size() > MOST_SLOTS) {
      errors.invalid("/slots", "must have 1 to " + MOST_SLOTS + " entries");
      return;
    }
    boolean fields = slots.getFirst().field() != null;
    Set<String> headers = new HashSet<>();
    for (int i = 0; i < slots.size(); i++) {
      Slot slot = slots.get(i);
      checkSlot("/slots/" + i, slot, errors);
      String header = slot.header() == null ? "Authorization" : slot.header();
      if (!headers.add(header.toLowerCase(Locale.ROOT))) {
        errors.invalid("/slots/" + i + "/header", "is the header of another slot too");
      }
      if ((slot.field() != null) != fields) {
        errors.invalid("/slots/" + i + "/field", "must be there in all slots or in none");
      }
    }
  }

  private static void checkSlot(String at, Slot slot, Errors errors) {
    String header = slot.header();
    String field = slot.field();
    if (field != null && !VAULT_SEGMENT.matcher(field).matches()) {
      errors.invalid(at + "/field", "must be the name of one field of the secret");
    }
    if (header != null) {
      checkHeader(at + "/header", header, errors);
    }
    String format = slot.format();
    if (format != null) {
      if (format.indexOf(PLACEHOLDER) < 0
          || format.indexOf(PLACEHOLDER) != format.lastIndexOf(PLACEHOLDER)) {
        errors.invalid(at + "/format", "must have {credential} in it exactly once");
      } else if (format.length() > 512 || !isVisible(format)) {
        errors.invalid(at + "/format", "must be at most 512 printable ASCII characters");
      }
    }
    if (slot.basic() != null) {
      if (format != null) {
        errors.invalid(at + "/basic", "must not be there together with format");
      }
      String username = slot.basic().username();
      if (username.length() > 255 || username.contains(":") || !isVisible(username)) {
        errors.invalid(
            at + "/basic/username",
            "must be at most 255 printable ASCII characters without a colon");
      }
    }
  }

  /** A header into which something can be put. */
  static void checkHeader(String at, String header, Errors errors) {
    if (!TOKEN.matcher(header).matches()) {
      errors.invalid(at, "must be a header name (RFC 9110 section 5.1)");
    } else if (isOfTheGateway(header.toLowerCase(Locale.ROOT))) {
      errors.invalid(at, "is a header that the gateway needs for itself");
    }
  }

  static boolean isOfTheGateway(String lower) {
    return RESERVED_HEADERS.contains(lower) || lower.startsWith("x-forwarded-");
  }

  private static boolean isVisible(String text) {
    return text.chars().allMatch(c -> c >= ' ' && c < 0x7f);
  }

  static void checkMaxStream(@Nullable Duration maxStream, Errors errors) {
    checkAtMost("/maxStream", maxStream, Duration.ofHours(24), "24h", errors);
  }

  private static void checkAtMost(
      String pointer, @Nullable Duration value, Duration most, String written, Errors errors) {
    if (value != null && value.compareTo(most) > 0) {
      errors.invalid(pointer, "must be at most " + written);
    }
  }
}
