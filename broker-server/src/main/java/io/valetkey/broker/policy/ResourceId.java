package io.valetkey.broker.policy;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which resource.
 *
 * @param kind its kind
 * @param parent the destination of a scope; null for every other kind
 * @param name its name
 */
public record ResourceId(ResourceKind kind, @Nullable String parent, String name) {

  private static final Pattern NAME = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");

  /** Checks that a scope, and nothing else, has a parent. */
  public ResourceId {
    if ((kind == ResourceKind.SCOPE) != (parent != null)) {
      throw new IllegalArgumentException("Only a scope has a parent, and each has one.");
    }
  }

  /** A resource that stands for itself. */
  public static ResourceId of(ResourceKind kind, String name) {
    return new ResourceId(kind, null, name);
  }

  /** A scope of a destination. */
  public static ResourceId scope(String destination, String name) {
    return new ResourceId(ResourceKind.SCOPE, destination, name);
  }

  /**
   * Reads a {@link #qualifiedName}.
   *
   * @return null if no resource of this kind can have that name
   */
  public static @Nullable ResourceId parse(ResourceKind kind, String qualifiedName) {
    int slash = qualifiedName.indexOf('/');
    String name = qualifiedName.substring(slash + 1);
    if (kind != ResourceKind.SCOPE) {
      return slash < 0 && isName(name) ? of(kind, name) : null;
    }
    String parent = qualifiedName.substring(0, Math.max(slash, 0));
    return isName(parent) && isName(name) ? scope(parent, name) : null;
  }

  /** The name in the change log: {@code destination/scope} for a scope, else the name. */
  public String qualifiedName() {
    return parent == null ? name : parent + "/" + name;
  }

  /** Whether a text is a name that a resource can have. */
  public static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }
}
