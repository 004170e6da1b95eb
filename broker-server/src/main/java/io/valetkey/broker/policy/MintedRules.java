package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a credential must be that a provider makes for us. */
final class MintedRules {

  /** Words of RFC 6749 section 3.3 with single spaces between. */
  private static final Pattern SCOPE = Pattern.compile("[!#-\\[\\]-~]+(?: [!#-\\[\\]-~]+)*");

  private static final Pattern PRINTABLE = Pattern.compile("[ -~]{1,512}");
  private static final Pattern APP = Pattern.compile("[A-Za-z0-9._-]{1,64}");
  private static final Pattern INSTALLATION = Pattern.compile("[0-9]{1,18}");
  private static final Pattern REPOSITORY = Pattern.compile("[A-Za-z0-9._-]{1,100}");
  private static final Pattern PERMISSION = Pattern.compile("[a-z_]{1,64}");
  private static final Set<String> LEVELS = Set.of("read", "write", "admin");
  private static final Pattern PARAMETER = Pattern.compile("[A-Za-z0-9_.-]{1,64}");
  private static final Set<String> OUR_PARAMETERS =
      Set.of(
          "grant_type",
          "scope",
          "assertion",
          "client_id",
          "client_assertion",
          "client_assertion_type",
          "subject_token",
          "subject_token_type");
  private static final Pattern ROLE_ARN =
      Pattern.compile("arn:aws(-[a-z]{1,8}){0,3}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}");
  private static final Pattern SESSION_POLICY = Pattern.compile("[ -~]{2,2048}");
  private static final Duration SHORTEST_SESSION = Duration.ofMinutes(15);
  private static final Duration LONGEST_SESSION = Duration.ofHours(1);
  private static final int MOST_PARAMETERS = 16;
  private static final int MOST_REPOSITORIES = 500;
  private static final int LONGEST_SCOPE = 2048;

  private final Predicate<InetAddress> allowed;

  /**
   * Rules.
   *
   * @param allowed which addresses the gateway may connect to
   */
  MintedRules(Predicate<InetAddress> allowed) {
    this.allowed = allowed;
  }

  void check(Credential.Minted minted, Errors errors) {
    switch (minted) {
      case Credential.ClientCredentials client -> {
        checkEndpoint("/credential/tokenEndpoint", client.tokenEndpoint(), errors);
        checkText("/credential/clientId", client.clientId(), errors);
        checkText("/credential/keyId", client.keyId(), errors);
        checkText("/credential/audience", client.audience(), errors);
        checkText("/credential/resource", client.resource(), errors);
        checkScope(client.scope(), errors);
      }
      case Credential.JwtBearer bearer -> {
        checkEndpoint("/credential/tokenEndpoint", bearer.tokenEndpoint(), errors);
        checkText("/credential/issuer", bearer.issuer(), errors);
        checkText("/credential/subject", bearer.subject(), errors);
        checkText("/credential/audience", bearer.audience(), errors);
        checkText("/credential/keyId", bearer.keyId(), errors);
        checkScope(bearer.scope(), errors);
      }
      case Credential.GitHubApp app -> checkGitHub(app, errors);
      case Credential.Federated federated -> checkFederated(federated, errors);
      case Credential.AwsWebIdentity role -> checkAws(role, errors);
    }
  }

  private void checkFederated(Credential.Federated federated, Errors errors) {
    checkEndpoint("/credential/tokenEndpoint", federated.tokenEndpoint(), errors);
    checkText("/credential/subject", federated.subject(), errors);
    checkText("/credential/audience", federated.audience(), errors);
    checkText("/credential/clientId", federated.clientId(), errors);
    checkScope(federated.scope(), errors);
    boolean client = federated.grant() == Credential.FederatedGrant.CLIENT_ASSERTION;
    if (client && federated.clientId() == null) {
      errors.add("/credential/clientId", FieldError.REQUIRED, "is required with client_assertion");
    } else if (!client && federated.clientId() != null) {
      errors.invalid("/credential/clientId", "must be left out except with client_assertion");
    }
    Map<String, String> parameters =
        federated.parameters() == null ? Map.of() : federated.parameters();
    if (parameters.size() > MOST_PARAMETERS) {
      errors.invalid("/credential/parameters", "must have 16 entries at most");
    }
    parameters.forEach((name, value) -> {
      String at = FieldError.join("/credential/parameters", name);
      if (!PARAMETER.matcher(name).matches() || OUR_PARAMETERS.contains(name)) {
        errors.invalid(at, "must be a parameter's name that the gateway does not fill itself");
      }
      checkText(at, value, errors);
    });
  }

  private void checkAws(Credential.AwsWebIdentity role, Errors errors) {
    checkEndpoint("/credential/tokenEndpoint", role.tokenEndpoint(), errors);
    checkText("/credential/subject", role.subject(), errors);
    checkText("/credential/audience", role.audience(), errors);
    if (!ROLE_ARN.matcher(role.roleArn()).matches()) {
      errors.invalid(
          "/credential/roleArn", "must be a role's ARN, as in arn:aws:iam::123456789012:role/name");
    }
    Duration duration = role.duration() == null ? SHORTEST_SESSION : role.duration();
    if (duration.compareTo(SHORTEST_SESSION) < 0 || duration.compareTo(LONGEST_SESSION) > 0) {
      errors.invalid("/credential/duration", "must be from 15m to 1h");
    }
    String policy = role.sessionPolicy();
    if (policy != null && !SESSION_POLICY.matcher(policy).matches()) {
      errors.invalid(
          "/credential/sessionPolicy", "must be at most 2048 ASCII characters, written densely");
    }
  }

  private void checkGitHub(Credential.GitHubApp app, Errors errors) {
    if (app.api() != null) {
      checkEndpoint("/credential/api", app.api(), errors);
      if (app.api().endsWith("/") || app.api().contains("?")) {
        errors.invalid("/credential/api", "must have no final slash and no query");
      }
    }
    if (!APP.matcher(app.appId()).matches()) {
      errors.invalid("/credential/appId", "must be the id of an app, or its client id");
    }
    if (!INSTALLATION.matcher(app.installationId()).matches()) {
      errors.invalid("/credential/installationId", "must be a number, as text");
    }
    List<String> repositories = app.repositories() == null ? List.of("any") : app.repositories();
    if (repositories.isEmpty() || repositories.size() > MOST_REPOSITORIES) {
      errors.invalid("/credential/repositories", "must have 1 to 500 entries");
    } else if (!repositories.stream().allMatch(name -> REPOSITORY.matcher(name).matches())) {
      errors.invalid("/credential/repositories", "must be names without their owner");
    }
    Map<String, String> permissions =
        app.permissions() == null ? Map.of("any", "read") : app.permissions();
    if (permissions.isEmpty()) {
      errors.invalid("/credential/permissions", "must name one at least");
    }
    permissions.forEach((name, level) -> {
      if (!PERMISSION.matcher(name).matches() || !LEVELS.contains(level)) {
        errors.invalid(
            FieldError.join("/credential/permissions", name), "must be read, write or admin");
      }
    });
  }

  private void checkEndpoint(String at, String url, Errors errors) {
    String error = WebAddress.urlError(url, allowed);
    if (error != null) {
      errors.invalid(at, error);
    } else if (!url.startsWith("https://")) {
      errors.invalid(at, "must be an https URL");
    }
  }

  private static void checkText(String at, @Nullable String text, Errors errors) {
    if (text != null && !PRINTABLE.matcher(text).matches()) {
      errors.invalid(at, "must be 1 to 512 printable ASCII characters");
    }
  }

  private static void checkScope(@Nullable String scope, Errors errors) {
    if (scope != null && (scope.length() > LONGEST_SCOPE || !SCOPE.matcher(scope).matches())) {
      errors.invalid("/credential/scope", "must be scopes with single spaces between");
    }
  }
}
