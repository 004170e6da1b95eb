package io.valetkey.broker.policy;

/** The kinds of resources that make up the policy, in an order in which they can be created. */
public enum ResourceKind {
  ISSUER("issuers", "issuer"),
  AGENT("agents", "agent"),
  DESTINATION("destinations", "destination"),
  SCOPE("scopes", "scope"),
  GRANT("grants", "grant"),
  SIGNAL_RULE("signal-rules", "signal-rule");

  private final String plural;
  private final String singular;

  ResourceKind(String plural, String singular) {
    this.plural = plural;
    this.singular = singular;
  }

  /** The word in a URL, for example {@code agents}. */
  public String plural() {
    return plural;
  }

  /** The word for one, for example {@code agent}; also its name in the change log. */
  public String singular() {
    return singular;
  }
}
