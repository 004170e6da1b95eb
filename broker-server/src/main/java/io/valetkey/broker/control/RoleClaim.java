package io.valetkey.broker.control;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The claim by which a provider says what somebody may do here.
 *
 * @param claim its name; dots lead into objects
 * @param meanings which of its values, whole, is which role; empty if the values are our roles' own
 *     names, in a list or in one string
 */
public record RoleClaim(String claim, Map<String, Role> meanings) {

  /** Copies the meanings. */
  public RoleClaim {
    meanings = Map.copyOf(meanings);
  }

  /** Every role that we know; an email address that the provider did not verify means nothing. */
  public Set<Role> roles(Map<String, ? extends @Nullable Object> claims) {
    if (claim.equals("email") && !Boolean.TRUE.equals(claims.get("email_verified"))) {
      return Set.of();
    }
    return values(claims).stream()
        .map(value -> value instanceof String name ? role(name) : null)
        .filter(Objects::nonNull)
        .collect(Collectors.toUnmodifiableSet());
  }

  private @Nullable Role role(String name) {
    return meanings.isEmpty() ? Role.named(name).orElse(null) : meanings.get(name);
  }

  private Collection<?> values(Map<String, ? extends @Nullable Object> claims) {
    @Nullable Object value = claims.get(claim);
    if (value == null) {
      value = claims;
      for (String part : claim.split("\\.", -1)) {
        value = value instanceof Map<?, ?> map ? map.get(part) : null;
      }
    }
    return switch (value) {
      case Collection<?> list -> list;
      case String text -> meanings.isEmpty() ? List.of(text.split("[ ,]+", -1)) : List.of(text);
      case null, default -> List.of();
    };
  }
}
