package io.valetkey.broker.upstream;

import io.valetkey.broker.net.FormEncoding;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.DestinationSpec.Credential.AwsWebIdentity;
import io.valetkey.broker.policy.DestinationSpec.Credential.ClientCredentials;
import io.valetkey.broker.policy.DestinationSpec.Credential.Federated;
import io.valetkey.broker.policy.DestinationSpec.Credential.GitHubApp;
import io.valetkey.broker.policy.DestinationSpec.Credential.JwtBearer;
import io.valetkey.broker.policy.DestinationSpec.Credential.Minted;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Short tokens that a provider makes for us: by client credentials (RFC 6749 section 4.4), by a
 * signed assertion (RFC 7523), as an installation of a GitHub App, or for an assertion of our own
 * issuer; and sessions of AWS for the same. What proves who we are is read anew for each token and
 * goes to the token endpoint of the policy only.
 */
public final class ProviderTokens {

  private static final Duration CLIENT_ASSERTION = Duration.ofMinutes(1);
  private static final Duration ASSERTION = Duration.ofMinutes(5);
  private static final Duration GITHUB_ASSERTION = Duration.ofMinutes(9);
  private static final Duration GITHUB_SKEW = Duration.ofMinutes(1);
  private static final String ASSERTION_TYPE =
      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
  private static final String JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  private static final String TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
  private static final String JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";
  private static final String FORM = "application/x-www-form-urlencoded";
  private static final Pattern ERROR = Pattern.compile("[a-z_]{1,64}");
  private static final JsonMapper JSON = JsonMapper.shared();

  private final ProviderHttp http;
  private final Function<Credential, SecretValue> secrets;
  private final Function<Credential, SecretValue> keys;
  private final @Nullable Federation federation;
  private final AwsSessions awsSessions;
  private final Clock clock;

  /**
   * Makes tokens.
   *
   * @param secrets reads a client's secret
   * @param keys reads a private key, which has line breaks
   * @param federation signs for our own issuer; null if there is none
   */
  ProviderTokens(
      ProviderHttp http,
      Function<Credential, SecretValue> secrets,
      Function<Credential, SecretValue> keys,
      @Nullable Federation federation,
      Clock clock) {
    this.http = http;
    this.secrets = secrets;
    this.keys = keys;
    this.federation = federation;
    this.awsSessions = new AwsSessions(http, clock);
    this.clock = clock;
  }

  /**
   * Gets a token. Blocks; ends when its thread is interrupted.
   *
   * @throws RefusedException as {@link CredentialSource#read} does: a {@link SourceAwayException}
   *     unless the provider clearly refuses us
   */
  Loaded fetch(Minted reference) {
    Instant now = clock.instant();
    try {
      return switch (reference) {
        case ClientCredentials client -> oauth(client, clientCredentials(client, now), now);
        case JwtBearer bearer -> oauth(bearer, assertion(bearer, now), now);
        case GitHubApp app -> gitHub(app, now);
        case Federated federated -> oauth(federated, federated(federated, now), now);
        case AwsWebIdentity role -> awsSessions.fetch(role, awsAssertion(role, now), now);
      };
    } catch (IOException e) {
      // Our own words or those of the JDK about the connection, never the answer.
      throw CredentialText.away(
          reference, "cannot be had: " + e.getClass().getSimpleName() + ", " + e.getMessage());
    } catch (GeneralSecurityException e) {
      throw CredentialText.refused(reference, "has no usable key: " + e.getMessage());
    }
  }

  /** A form, and the header fields that go with it. Not a record: secrets are in it. */
  private static final class Form {
    private final Map<String, String> parameters = new LinkedHashMap<>();
    private final Map<String, String> headers = new LinkedHashMap<>();

    void put(String name, @Nullable String value) {
      if (value != null) {
        parameters.put(name, value);
      }
    }

    byte[] encoded() {
      return FormEncoding.form(parameters).getBytes(StandardCharsets.US_ASCII);
    }
  }

  private Form clientCredentials(ClientCredentials client, Instant now)
      throws GeneralSecurityException {
    Form form = new Form();
    form.put("grant_type", "client_credentials");
    form.put("scope", client.scope());
    form.put("audience", client.audience());
    form.put("resource", client.resource());
    switch (client.authentication()) {
      case CLIENT_SECRET_BASIC ->
          form.headers.put(
              "Authorization",
              FormEncoding.basic(client.clientId(), secrets.apply(client.secret()).reveal()));
      case CLIENT_SECRET_POST -> {
        form.put("client_id", client.clientId());
        form.put("client_secret", secrets.apply(client.secret()).reveal());
      }
      case PRIVATE_KEY_JWT -> {
        Map<String, Object> claims = claims(client.clientId(), now, CLIENT_ASSERTION);
        claims.put("sub", client.clientId());
        claims.put("aud", client.tokenEndpoint());
        form.put("client_id", client.clientId());
        form.put("client_assertion_type", ASSERTION_TYPE);
        form.put("client_assertion", sign(client.secret(), claims, client.keyId()));
      }
    }
    return form;
  }

  private Form assertion(JwtBearer bearer, Instant now) throws GeneralSecurityException {
    Map<String, Object> claims = claims(bearer.issuer(), now, ASSERTION);
    if (bearer.subject() != null) {
      claims.put("sub", bearer.subject());
    }
    claims.put("aud", bearer.audience() == null ? bearer.tokenEndpoint() : bearer.audience());
    if (bearer.scope() != null) {
      // Where Google looks; RFC 7523 has the parameter.
      claims.put("scope", bearer.scope());
    }
    Form form = new Form();
    form.put("grant_type", JWT_BEARER);
    form.put("scope", bearer.scope());
    form.put("assertion", sign(bearer.secret(), claims, bearer.keyId()));
    return form;
  }

  private Form federated(Federated federated, Instant now) throws IOException {
    String audience =
        federated.audience() == null ? federated.tokenEndpoint() : federated.audience();
    String assertion = federationAssertion(federated, federated.subject(), audience, now);
    Form form = new Form();
    switch (federated.grant()) {
      case JWT_BEARER -> {
        form.put("grant_type", JWT_BEARER);
        form.put("assertion", assertion);
      }
      case TOKEN_EXCHANGE -> {
        form.put("grant_type", TOKEN_EXCHANGE);
        form.put("subject_token", assertion);
        form.put("subject_token_type", JWT_TYPE);
      }
      case CLIENT_ASSERTION -> {
        form.put("grant_type", "client_credentials");
        form.put("client_id", federated.clientId());
        form.put("client_assertion_type", ASSERTION_TYPE);
        form.put("client_assertion", assertion);
      }
    }
    form.put("scope", federated.scope());
    if (federated.parameters() != null) {
      federated.parameters().forEach(form::put);
    }
    return form;
  }

  private String awsAssertion(AwsWebIdentity role, Instant now) throws IOException {
    String audience = role.audience() == null ? AwsSessions.AUDIENCE : role.audience();
    return federationAssertion(role, role.subject(), audience, now);
  }

  private String federationAssertion(Minted reference, String subject, String audience, Instant now)
      throws IOException {
    if (federation == null) {
      throw CredentialText.refused(
          reference, "cannot be had: " + Federation.SETTING + " is not set");
    }
    Map<String, Object> claims = claims(federation.issuer(), now, ASSERTION);
    claims.put("sub", subject);
    claims.put("aud", audience);
    return federation.sign(claims);
  }

  private static Map<String, Object> claims(String issuer, Instant now, Duration life) {
    Map<String, Object> claims = new LinkedHashMap<>();
    claims.put("iss", issuer);
    claims.put("jti", UUID.randomUUID().toString());
    claims.put("iat", now.getEpochSecond());
    claims.put("exp", now.plus(life).getEpochSecond());
    return claims;
  }

  private String sign(Credential key, Map<String, Object> claims, @Nullable String keyId)
      throws GeneralSecurityException {
    return AssertionKey.parse(keys.apply(key)).sign(claims, keyId);
  }

  private Loaded oauth(Minted reference, Form form, Instant now) throws IOException {
    JsonNode answer =
        answer(
            reference,
            http.post(URI.create(reference.endpoint()), FORM, form.encoded(), form.headers));
    if (!"bearer".equals(text(answer, "token_type").toLowerCase(Locale.ROOT))) {
      throw CredentialText.away(reference, "is no bearer token");
    }
    JsonNode life = answer.path("expires_in");
    Instant until = null;
    if (life.isIntegralNumber() && life.canConvertToInt()) {
      until = now.plusSeconds(life.intValue());
    } else if (!life.isMissingNode() && !life.isNull()) {
      throw CredentialText.away(reference, "came with an expires_in that is no number");
    }
    return loaded(reference, text(answer, "access_token"), until, now);
  }

  /**
   * @see <a
   *     href="https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app">GitHub
   *     REST API, Create an installation access token for an app</a>
   */
  private Loaded gitHub(GitHubApp app, Instant now) throws IOException, GeneralSecurityException {
    Map<String, Object> claims = new LinkedHashMap<>();
    claims.put("iss", app.appId());
    claims.put("iat", now.minus(GITHUB_SKEW).getEpochSecond());
    claims.put("exp", now.plus(GITHUB_ASSERTION).getEpochSecond());
    Map<String, Object> wanted = new LinkedHashMap<>();
    if (app.repositories() != null) {
      wanted.put("repositories", app.repositories());
    }
    if (app.permissions() != null) {
      wanted.put("permissions", app.permissions());
    }
    JsonNode answer =
        answer(
            app,
            http.post(
                URI.create(app.endpoint()),
                "application/json",
                JSON.writeValueAsBytes(wanted),
                Map.of(
                    "Accept", "application/vnd.github+json",
                    "X-GitHub-Api-Version", "2022-11-28",
                    "Authorization", "Bearer " + sign(app.secret(), claims, null))));
    try {
      return loaded(app, text(answer, "token"), Instant.parse(text(answer, "expires_at")), now);
    } catch (DateTimeException e) {
      throw CredentialText.away(app, "came without a time at which it ends");
    }
  }

  private static Loaded loaded(
      Minted reference, String token, @Nullable Instant until, Instant now) {
    if (token.isEmpty() || !token.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw CredentialText.away(reference, "is no token that can stand in a header");
    }
    if (until != null && !until.isAfter(now)) {
      throw CredentialText.away(reference, "had ended when it came");
    }
    return new Loaded(CredentialFields.of(CredentialText.check(reference, token)), until);
  }

  private static JsonNode answer(Minted reference, ProviderHttp.Answer answer) {
    JsonNode json = json(answer);
    int status = answer.status();
    if (status == 200 || status == 201) {
      if (json == null) {
        throw CredentialText.away(reference, "cannot be had: the answer is not one JSON object");
      }
      return json;
    }
    String code = json == null ? "" : json.path("error").asString("");
    String why =
        "cannot be had: the provider answered "
            + status
            + (ERROR.matcher(code).matches() ? ", " + code : "");
    // Only what is clearly about us counts as an answer; a proxy's page does not.
    boolean refused = status >= 400 && status < 500 && status != 408 && status != 429;
    throw refused && json != null
        ? CredentialText.refused(reference, why)
        : CredentialText.away(reference, why);
  }

  private static @Nullable JsonNode json(ProviderHttp.Answer answer) {
    String type = answer.contentType();
    if (type == null
        || !type.split(";", 2)[0]
            .strip()
            .toLowerCase(Locale.ROOT)
            .matches("application/([a-z.]+\\+)?json")) {
      return null;
    }
    try {
      JsonNode json = JSON.readTree(answer.body());
      return json.isObject() ? json : null;
    } catch (JacksonException e) {
      return null;
    }
  }

  private static String text(JsonNode answer, String name) {
    JsonNode value = answer.path(name);
    return value.isString() ? value.stringValue() : "";
  }
}
