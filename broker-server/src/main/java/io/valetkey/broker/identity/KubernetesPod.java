package io.valetkey.broker.identity;

/**
 * A pod of a cluster, as a token that is bound to it says.
 *
 * @param namespace its namespace
 * @param name its name, which a later pod may have again
 * @param uid its uid, which no other pod ever has
 */
public record KubernetesPod(String namespace, String name, String uid) {

  /** Whether a text is short and plain enough to be the name or uid of a Kubernetes object. */
  public static boolean isName(String text) {
    return !text.isEmpty()
        && text.length() <= 253
        && text.chars()
            .allMatch(
                c -> (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.');
  }
}
