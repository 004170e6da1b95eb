package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientAuthenticationMethod;
import com.nimbusds.oauth2.sdk.auth.PrivateKeyJWT;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.id.Audience;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.TokenTypeURI;
import com.nimbusds.oauth2.sdk.token.TypelessAccessToken;
import com.nimbusds.oauth2.sdk.tokenexchange.TokenExchangeGrant;
import com.nimbusds.oauth2.sdk.util.URLUtils;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.security.oauth2.client.endpoint.OAuth2ClientCredentialsGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.RestClientTokenExchangeTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.TokenExchangeGrantRequest;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2AuthorizationException;
import org.springframework.security.oauth2.core.endpoint.OAuth2AccessTokenResponse;
import org.springframework.security.oauth2.jwt.Jwt;

/** Other people's OAuth clients get tokens as they are, by configuration alone. */
class OAuthClientsTest {

  private static final String ASSERTION_TYPE =
      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static RunningBroker broker;

  @TempDir private static Path folder;

  @BeforeAll
  static void start() throws Exception {
    broker = RunningBroker.start(Map.of());
    Tokens.writeOneAgent(broker, ISSUER);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  private static String identity() {
    return ISSUER.token("bot-subject", broker.url());
  }

  private static void requireOurs(String token) throws Exception {
    var claims = SignedJWT.parse(token).getJWTClaimsSet();
    assertThat(claims.getIssuer()).isEqualTo(broker.url());
    assertThat(claims.getStringClaim("client_id")).isEqualTo("bot");
    assertThat(claims.getAudience()).containsExactly(broker.gatewayUrl() + "/d/openai");
  }

  /** What a client of Nimbus does: everything it needs to know comes from the metadata. */
  private static AuthorizationServerMetadata metadata() throws Exception {
    return AuthorizationServerMetadata.resolve(new Issuer(broker.url()));
  }

  private static TokenResponse send(HTTPRequest request) throws Exception {
    return TokenResponse.parse(request.send());
  }

  /**
   * The library's own assertions insist on an issuer that is the subject (RFC 7523 section 3),
   * which the identity token of a platform is not; this is its extension point for others.
   */
  private static final class WorkloadAssertion extends ClientAuthentication {

    private final String identity;

    WorkloadAssertion(String identity) {
      super(ClientAuthenticationMethod.PRIVATE_KEY_JWT, new ClientID("bot"));
      this.identity = identity;
    }

    @Override
    public Set<String> getFormParameterNames() {
      return Set.of("client_assertion", "client_assertion_type");
    }

    @Override
    public void applyTo(HTTPRequest request) {
      request.setBody(
          URLUtils.serializeParameters(
              Map.of(
                  "client_assertion_type",
                  List.of(ASSERTION_TYPE),
                  "client_assertion",
                  List.of(identity))));
    }
  }

  @Test
  void nimbus_clientCredentials() throws Exception {
    AuthorizationServerMetadata metadata = metadata();
    TokenRequest request =
        new TokenRequest.Builder(
                metadata.getTokenEndpointURI(),
                new WorkloadAssertion(identity()),
                new ClientCredentialsGrant())
            .scope(new Scope("chat"))
            .resource(URI.create(broker.gatewayUrl() + "/d/openai"))
            .build();

    TokenResponse response = send(request.toHTTPRequest());

    assertThat(response.indicatesSuccess()).as(response.toHTTPResponse().getBody()).isTrue();
    AccessToken token = response.toSuccessResponse().getTokens().getAccessToken();
    requireOurs(token.getValue());
    assertThat(token.getScope()).isEqualTo(new Scope("chat"));
    assertThat(token.getLifetime()).isEqualTo(300);
  }

  @Test
  void nimbus_clientCredentials_withAnAssertionWhoseIssuerIsItsSubject() throws Exception {
    String self = "https://" + ISSUER.name() + ".test";
    String identity = ISSUER.token(self, broker.url());
    new io.valetkey.broker.Policies(broker)
        .agent("self", ISSUER.name(), self, "")
        .grant("self-openai", "self", "openai", List.of("chat"))
        .await(broker);
    TokenRequest request =
        new TokenRequest.Builder(
                metadata().getTokenEndpointURI(),
                new PrivateKeyJWT(SignedJWT.parse(identity)),
                new ClientCredentialsGrant())
            .build();

    TokenResponse response = send(request.toHTTPRequest());

    assertThat(response.indicatesSuccess()).as(response.toHTTPResponse().getBody()).isTrue();
  }

  private static TokenRequest nimbusExchange(String identity) throws Exception {
    var grant =
        new TokenExchangeGrant(
            new TypelessAccessToken(identity),
            TokenTypeURI.JWT,
            null,
            null,
            TokenTypeURI.ACCESS_TOKEN,
            List.of(new Audience("openai")));
    return new TokenRequest.Builder(metadata().getTokenEndpointURI(), new ClientID("bot"), grant)
        .scope(new Scope("files"))
        .build();
  }

  @Test
  void nimbus_tokenExchange() throws Exception {
    TokenResponse response = send(nimbusExchange(identity()).toHTTPRequest());

    assertThat(response.indicatesSuccess()).as(response.toHTTPResponse().getBody()).isTrue();
    AccessToken token = response.toSuccessResponse().getTokens().getAccessToken();
    requireOurs(token.getValue());
    assertThat(token.getIssuedTokenType()).isEqualTo(TokenTypeURI.ACCESS_TOKEN);
    assertThat(token.getScope()).isEqualTo(new Scope("files"));
  }

  @Test
  void nimbus_tokenExchangeWithDpop() throws Exception {
    HTTPRequest request = nimbusExchange(identity()).toHTTPRequest();
    request.setDPoP(
        new DefaultDPoPProofFactory(Proof.key(), JWSAlgorithm.ES256)
            .createDPoPJWT("POST", request.getURI()));

    TokenResponse response = send(request);

    assertThat(response.indicatesSuccess()).as(response.toHTTPResponse().getBody()).isTrue();
    assertThat(response.toSuccessResponse().getTokens().getDPoPAccessToken()).isNotNull();
  }

  @Test
  void nimbus_understandsARefusal() throws Exception {
    TokenResponse response = send(nimbusExchange(identity() + "x").toHTTPRequest());

    assertThat(response.toErrorResponse().getErrorObject().getCode()).isEqualTo("invalid_request");
  }

  private static ClientRegistration registration(AuthorizationGrantType grant, String... scopes) {
    return ClientRegistration.withRegistrationId("valetkey")
        .clientId("bot")
        .clientAuthenticationMethod(
            org.springframework.security.oauth2.core.ClientAuthenticationMethod.NONE)
        .authorizationGrantType(grant)
        .tokenUri(broker.url() + "/oauth2/token")
        .scope(scopes)
        .build();
  }

  @Test
  void springSecurity_clientCredentials() throws Exception {
    var client = new RestClientClientCredentialsTokenResponseClient();
    client.addParametersConverter(request -> {
      var parameters = new org.springframework.util.LinkedMultiValueMap<String, String>();
      parameters.add("client_assertion_type", ASSERTION_TYPE);
      parameters.add("client_assertion", identity());
      parameters.add("audience", "openai");
      return parameters;
    });

    OAuth2AccessTokenResponse response =
        client.getTokenResponse(
            new OAuth2ClientCredentialsGrantRequest(
                registration(AuthorizationGrantType.CLIENT_CREDENTIALS, "chat")));

    requireOurs(response.getAccessToken().getTokenValue());
    assertThat(response.getAccessToken().getScopes()).containsExactly("chat");
  }

  private static TokenExchangeGrantRequest springExchange(
      org.springframework.security.oauth2.core.OAuth2Token subject) {
    return new TokenExchangeGrantRequest(
        registration(AuthorizationGrantType.TOKEN_EXCHANGE, "chat", "files"), subject, null);
  }

  private static RestClientTokenExchangeTokenResponseClient springExchangeClient() {
    var client = new RestClientTokenExchangeTokenResponseClient();
    client.addParametersConverter(request -> {
      var parameters = new org.springframework.util.LinkedMultiValueMap<String, String>();
      parameters.add("resource", broker.gatewayUrl() + "/d/openai");
      return parameters;
    });
    return client;
  }

  @Test
  void springSecurity_tokenExchange_ofAJwt() throws Exception {
    Instant now = Instant.now();
    Jwt subject =
        new Jwt(identity(), now, now.plusSeconds(60), Map.of("alg", "ES256"), Map.of("sub", "x"));

    OAuth2AccessTokenResponse response =
        springExchangeClient().getTokenResponse(springExchange(subject));

    requireOurs(response.getAccessToken().getTokenValue());
    assertThat(response.getAccessToken().getScopes()).containsExactlyInAnyOrder("chat", "files");
  }

  @Test
  void springSecurity_tokenExchange_ofAnAccessToken() throws Exception {
    Instant now = Instant.now();
    var subject =
        new OAuth2AccessToken(
            OAuth2AccessToken.TokenType.BEARER, identity(), now, now.plusSeconds(60));

    OAuth2AccessTokenResponse response =
        springExchangeClient().getTokenResponse(springExchange(subject));

    requireOurs(response.getAccessToken().getTokenValue());
  }

  @Test
  void springSecurity_understandsARefusal() {
    Instant now = Instant.now();
    String stranger = new TestIssuer("stranger").token("bot-subject", broker.url());
    var subject =
        new OAuth2AccessToken(
            OAuth2AccessToken.TokenType.BEARER, stranger, now, now.plusSeconds(60));

    assertThatThrownBy(() -> springExchangeClient().getTokenResponse(springExchange(subject)))
        .isInstanceOfSatisfying(
            OAuth2AuthorizationException.class,
            e -> assertThat(e.getError().getErrorCode()).isEqualTo("invalid_request"));
  }

  private static final String PYTHON =
      """
      import sys
      from authlib.integrations.requests_client import OAuth2Session
      from oauthlib.oauth2 import BackendApplicationClient
      from requests_oauthlib import OAuth2Session as OtherSession
      import os
      os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback only
      endpoint, identity = sys.argv[1], sys.argv[2]
      assertion = {"client_assertion": identity, "audience": "openai",
                   "client_assertion_type": "%s"}
      a = OAuth2Session("bot", token_endpoint_auth_method="none", scope="chat").fetch_token(
          endpoint, grant_type="client_credentials", **assertion)
      b = OAuth2Session("bot", token_endpoint_auth_method="none").fetch_token(
          endpoint, grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
          subject_token=identity, audience="openai",
          subject_token_type="urn:ietf:params:oauth:token-type:jwt")
      c = OtherSession(client=BackendApplicationClient("bot")).fetch_token(
          endpoint, include_client_id=True, **assertion)
      for token in (a, b, c):
          print(token["access_token"])
      """
          .formatted(ASSERTION_TYPE);

  @Test
  void python_authlibAndRequestsOauthlib_getTokensByBothGrants() throws Exception {
    Path python = python();
    Path script = Files.writeString(folder.resolve("clients.py"), PYTHON);

    Process process =
        new ProcessBuilder(
                python.toString(), script.toString(), broker.url() + "/oauth2/token", identity())
            .redirectError(folder.resolve("errors").toFile())
            .start();
    String output = new String(process.getInputStream().readAllBytes());

    assertThat(process.waitFor()).as(Files.readString(folder.resolve("errors"))).isZero();
    List<String> tokens = output.lines().toList();
    assertThat(tokens).hasSize(3);
    for (String token : tokens) {
      requireOurs(token);
    }
  }

  /** A Python with the two libraries in an environment of its own, or the test does not run. */
  private static Path python() throws Exception {
    Path environment = folder.resolve("python");
    String problem = null;
    for (List<String> step :
        List.of(
            List.of("python3", "-m", "venv", environment.toString()),
            List.of(
                environment.resolve("bin/pip").toString(),
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "authlib==1.6.5",
                "requests-oauthlib==2.0.0"))) {
      problem = problem == null ? run(step) : problem;
    }
    if (problem != null) {
      String why = "SKIPPED: no Python with OAuth libraries: " + problem;
      System.err.println(why);
      assertThat(System.getenv("CI")).as(why).isNotEqualTo("true");
      assumeTrue(false, why);
    }
    return environment.resolve("bin/python");
  }

  private static String run(List<String> command) throws Exception {
    Path log = folder.resolve("python.log");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      if (!process.waitFor(120, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        return command.getFirst() + " took too long";
      }
      return process.exitValue() == 0 ? null : Files.readString(log);
    } catch (java.io.IOException e) {
      return e.getMessage();
    }
  }
}
