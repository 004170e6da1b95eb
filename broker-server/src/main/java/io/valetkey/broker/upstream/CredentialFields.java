package io.valetkey.broker.upstream;

import io.valetkey.broker.secret.SecretValue;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The values of one credential, read together: one text, or several by the names of their fields.
 * It does not print them.
 */
public final class CredentialFields {

  /** No value at all: of a credential that goes into no request. */
  public static final CredentialFields NONE = new CredentialFields(Map.of());

  private static final String WHOLE = "";

  private final Map<String, SecretValue> values;

  private CredentialFields(Map<String, SecretValue> values) {
    this.values = values;
  }

  /** A credential that is one text. */
  public static CredentialFields of(SecretValue value) {
    return new CredentialFields(Map.of(WHOLE, value));
  }

  /** A credential of several fields, at least one. */
  public static CredentialFields of(Map<String, SecretValue> values) {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("a credential has at least one field");
    }
    return new CredentialFields(Collections.unmodifiableMap(new LinkedHashMap<>(values)));
  }

  /**
   * A field's value, or null if there is none.
   *
   * @param name the field; null means the credential that is one text
   */
  public @Nullable SecretValue get(@Nullable String name) {
    return values.get(name == null ? WHOLE : name);
  }

  /** Every value: this is what must not be seen in an answer. */
  public Collection<SecretValue> all() {
    return values.values();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CredentialFields that && values.equals(that.values);
  }

  @Override
  public int hashCode() {
    return values.keySet().hashCode();
  }

  @Override
  public String toString() {
    return "CredentialFields" + values.keySet();
  }
}
