package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One upstream that agents may reach.
 *
 * @param kind what it is
 * @param origin scheme, host and port of the upstream, https only; of a leased one what the
 *     credential is for, such as {@code postgresql://host:5432/database}
 * @param credential where the real credential comes from; {@link Credential.None} of a tunnel, and
 *     of an upstream that knows the gateway by its certificate alone
 * @param clientCertificate the certificate that the gateway shows in TLS; none if absent
 * @param slot where in the request it goes; {@code Authorization: Bearer} if absent
 * @param slots the same where it goes into several headers; not together with {@code slot}
 * @param signing how requests are signed with it instead
 * @param timeout how long the upstream may take to begin its answer; 60 s if absent
 * @param maxStream how long one exchange may last, counted from its start; 15 minutes if absent
 * @param maxRequestBody the largest request body in bytes; 10 MiB if absent
 * @param http2 whether the upstream may be spoken to by HTTP/2, if its TLS chooses it; false if
 *     absent
 * @param audit whether every allowed request is a record of its own; {@code aggregated} if absent
 * @param rewriteBodies whether the origin is replaced by the destination's address at the gateway
 *     in texts that the upstream answers; false if absent
 * @param rawPath whether the upstream takes paths as bytes, so that rules are prefixes of them;
 *     false if absent
 * @param enabled whether it can be reached at all; true if absent
 */
public record DestinationSpec(
    DestinationKind kind,
    String origin,
    Credential credential,
    Credential.@Nullable VaultPki clientCertificate,
    @Nullable Slot slot,
    @Nullable List<Slot> slots,
    @Nullable Signing signing,
    @Nullable Duration timeout,
    @Nullable Duration maxStream,
    @Nullable ByteSize maxRequestBody,
    @Nullable Boolean http2,
    @Nullable AuditDetail audit,
    @Nullable Boolean rewriteBodies,
    @Nullable Boolean rawPath,
    @Nullable Boolean enabled)
    implements ResourceSpec {

  /** What a destination is. */
  public enum DestinationKind {
    /** The gateway puts the credential into each request. */
    HTTP(Manner.BROKERED),
    /** The agent's own TLS passes the forward proxy unread, with whatever credential it has. */
    TUNNEL(Manner.TUNNELLED),
    /** The agent is handed a credential of its own, which can be taken back. */
    LEASE(Manner.LEASED),
    /** The same as the credentials of an AWS SDK. */
    AWS(Manner.LEASED);

    private final Manner manner;

    DestinationKind(Manner manner) {
      this.manner = manner;
    }

    /** How agents use it. */
    public Manner manner() {
      return manner;
    }
  }

  /** The ways in which agents can use a destination; each destination has exactly one. */
  public enum Manner {
    /** By requests, which the gateway carries out with a credential that the agent never has. */
    BROKERED,
    /** By a tunnel, which the gateway opens and does not look into. */
    TUNNELLED,
    /** Directly, with a credential that the agent has for a while. */
    LEASED;

    /** The word that stands in what people read. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** How much of the allowed traffic is recorded one by one. */
  public enum AuditDetail {
    AGGREGATED,
    FULL
  }

  /** Where the real credential comes from. */
  public sealed interface Credential {

    /**
     * A field of a secret in a Vault KV version 2 engine.
     *
     * @param mount the engine's mount, for example {@code secret}
     * @param path the secret's path below it
     * @param field the field of the secret; null where slots name the fields
     */
    record VaultKv(String mount, String path, @Nullable String field) implements Credential {}

    /**
     * A file in the directory of the {@code file} source: the credential itself, or a JSON object
     * of texts where slots name the fields.
     *
     * @param name the file's name, without any folder
     */
    record File(String name) implements Credential {}

    /** A short token that a provider makes for us, again and again. */
    sealed interface Minted extends Credential {

      /** Where it is asked for: an https URL. */
      String endpoint();

      /** What proves who we are: a client's secret or a private key; null if nothing is stored. */
      @Nullable Credential secret();
    }

    /** How a provider takes an assertion of our own issuer. */
    enum FederatedGrant {
      /** As the assertion of RFC 7523 section 2.1. */
      JWT_BEARER,
      /** As the subject token of RFC 8693. */
      TOKEN_EXCHANGE,
      /** As what authenticates a client, RFC 7523 section 2.2. */
      CLIENT_ASSERTION
    }

    /**
     * A token for an assertion of our own issuer, which the provider trusts: no key is stored.
     *
     * @param tokenEndpoint the provider's token endpoint
     * @param grant how the assertion is handed in
     * @param subject its {@code sub}, by which the provider knows what may be had
     * @param audience its {@code aud}; the token endpoint if null
     * @param clientId who we are there; with {@code CLIENT_ASSERTION} only, and needed there
     * @param scope what is asked for; the provider's default if null
     * @param parameters what the provider wants to be told beside that
     */
    record Federated(
        String tokenEndpoint,
        FederatedGrant grant,
        String subject,
        @Nullable String audience,
        @Nullable String clientId,
        @Nullable String scope,
        @Nullable Map<String, String> parameters)
        implements Minted {

      @Override
      public String endpoint() {
        return tokenEndpoint;
      }

      @Override
      public @Nullable Credential secret() {
        return null;
      }
    }

    /**
     * A session of a role of AWS, for an assertion of our own issuer ({@code
     * AssumeRoleWithWebIdentity}): no key is stored. It signs requests and is no token.
     *
     * @param tokenEndpoint AWS's Security Token Service, best that of the region
     * @param roleArn the role
     * @param subject the {@code sub} of the assertion, by which the role's trust policy knows us
     * @param audience its {@code aud}; {@code sts.amazonaws.com} if null
     * @param duration how long a session lives; 15 minutes, the shortest that AWS makes, if null
     * @param sessionPolicy a policy of IAM as JSON that narrows the session further; none if null
     * @param session the name of the session; null where it is written, for it is the agent's
     */
    record AwsWebIdentity(
        String tokenEndpoint,
        String roleArn,
        String subject,
        @Nullable String audience,
        @Nullable Duration duration,
        @Nullable String sessionPolicy,
        @Nullable String session)
        implements Minted {

      /** The name of a session that is nobody's; no agent has it. */
      public static final String OWN_SESSION = "valetkey=self-test";

      /**
       * The session of an agent, or our own for the empty name. AWS takes 2 to 64 characters, names
       * of agents have 1 to 63 and never an equals sign: each agent has a session name of its own.
       */
      public AwsWebIdentity sessionOf(String agent) {
        String name =
            switch (agent.length()) {
              case 0 -> OWN_SESSION;
              case 1 -> "agent=" + agent;
              default -> agent;
            };
        return new AwsWebIdentity(
            tokenEndpoint, roleArn, subject, audience, duration, sessionPolicy, name);
      }

      @Override
      public String endpoint() {
        return tokenEndpoint;
      }

      @Override
      public @Nullable Credential secret() {
        return null;
      }
    }

    /** How a client authenticates at a token endpoint (RFC 6749 section 2.3, RFC 7523). */
    enum ClientAuthentication {
      CLIENT_SECRET_BASIC,
      CLIENT_SECRET_POST,
      PRIVATE_KEY_JWT
    }

    /**
     * A token by client credentials (RFC 6749 section 4.4).
     *
     * @param tokenEndpoint the provider's token endpoint
     * @param clientId who we are there
     * @param authentication how that is proven
     * @param secret the client's secret, or its private key
     * @param keyId the name of the key, if the provider wants one
     * @param scope what is asked for; the provider's default if null
     * @param audience a parameter that some providers want
     * @param resource the resource (RFC 8707)
     */
    record ClientCredentials(
        String tokenEndpoint,
        String clientId,
        ClientAuthentication authentication,
        Credential secret,
        @Nullable String keyId,
        @Nullable String scope,
        @Nullable String audience,
        @Nullable String resource)
        implements Minted {

      @Override
      public String endpoint() {
        return tokenEndpoint;
      }
    }

    /**
     * A token for an assertion that is signed with a private key (RFC 7523 section 2.1).
     *
     * @param tokenEndpoint the provider's token endpoint
     * @param issuer the {@code iss} of the assertion
     * @param subject its {@code sub}; none if null
     * @param audience its {@code aud}; the token endpoint if null
     * @param secret the private key
     * @param keyId the name of the key, if the provider wants one
     * @param scope what is asked for; the provider's default if null
     */
    record JwtBearer(
        String tokenEndpoint,
        String issuer,
        @Nullable String subject,
        @Nullable String audience,
        Credential secret,
        @Nullable String keyId,
        @Nullable String scope)
        implements Minted {

      @Override
      public String endpoint() {
        return tokenEndpoint;
      }
    }

    /**
     * A token of an installation of a GitHub App.
     *
     * @param api where GitHub's API is; {@code https://api.github.com} if null
     * @param appId the app's id, or its client id
     * @param installationId the installation
     * @param secret the app's private key
     * @param repositories names of the repositories that the token is for; all if null
     * @param permissions what the token may do; all that the app may if null
     */
    record GitHubApp(
        @Nullable String api,
        String appId,
        String installationId,
        Credential secret,
        @Nullable List<String> repositories,
        @Nullable Map<String, String> permissions)
        implements Minted {

      @Override
      public String endpoint() {
        return (api == null ? "https://api.github.com" : api)
            + "/app/installations/"
            + installationId
            + "/access_tokens";
      }
    }

    /**
     * Several fields of one secret, read together so that they belong together. Nobody writes it: a
     * compiled {@link Destination} has it where its slots name fields.
     *
     * @param of the secret
     * @param required the fields that it must have
     * @param optional fields that are taken if it has them
     */
    record Fields(Credential of, List<String> required, List<String> optional)
        implements Credential {}

    /**
     * A certificate for the gateway as a client, by a role of a PKI engine of Vault. Its key is
     * made here.
     *
     * @param mount the engine's mount, for example {@code pki}
     * @param role the role that signs it
     * @param commonName the common name of its subject; no subject if null
     * @param uriSan the URI among its alternative names; none if null
     * @param ttl how long it lives; an hour if null
     */
    record VaultPki(
        String mount,
        String role,
        @Nullable String commonName,
        @Nullable String uriSan,
        @Nullable Duration ttl)
        implements Credential {}

    /**
     * The certificate of one destination, so that no two share one. Nobody writes it; it is what a
     * compiled {@link Destination} has.
     *
     * @param destination whose it is
     * @param of where it comes from
     */
    record Certificate(String destination, VaultPki of) implements Credential {

      private static final Duration TTL = Duration.ofHours(1);

      /** How long it is to live. */
      public Duration ttl() {
        return of.ttl() == null ? TTL : of.ttl();
      }
    }

    /** None: there is nowhere to put one. Nobody writes it; it is what is not written. */
    record None() implements Credential {}

    /**
     * A role of an engine of Vault that makes credentials on demand.
     *
     * @param mount the engine's mount, for example {@code database}
     * @param role the role, where a scope names no other
     * @param engine which engine it is; told by the origin's scheme if absent
     * @param fixed whether the role is one of an account that exists already ({@code static})
     * @param parameters what the engine is asked with besides; none if absent
     */
    record VaultDynamic(
        String mount,
        String role,
        @Nullable LeaseEngine engine,
        @Nullable Boolean fixed,
        @Nullable Map<String, String> parameters)
        implements Credential {}
  }

  /**
   * Where in a request the credential goes.
   *
   * @param header the header's name; {@code Authorization} if absent
   * @param format the header's value with {@code {credential}} in it; {@code Bearer {credential}}
   *     if absent
   * @param basic sends the credential as the password of HTTP Basic instead of {@code format}
   * @param field which field of the secret it is; null where the credential is one text
   */
  public record Slot(
      @Nullable String header,
      @Nullable String format,
      @Nullable Basic basic,
      @Nullable String field) {

    /**
     * HTTP Basic (RFC 7617).
     *
     * @param username the user name that stands before the credential
     */
    public record Basic(String username) {}
  }

  /** A number of bytes, written with a binary unit such as {@code 10MiB}. */
  public record ByteSize(long bytes) {}

  /** The header slots in which an agent's token may arrive, lower case. */
  public static final List<String> KNOWN_SLOTS =
      List.of(
          "authorization",
          "x-api-key",
          "api-key",
          "x-goog-api-key",
          "private-token",
          "x-amz-security-token",
          "valetkey-token");
}
