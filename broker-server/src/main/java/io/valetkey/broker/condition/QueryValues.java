package io.valetkey.broker.condition;

import java.util.List;

/** Which values a query parameter may have. */
public sealed interface QueryValues {

  /** Any value. */
  record Any() implements QueryValues {}

  /**
   * One of these, literally.
   *
   * @param values the values, decoded
   */
  record OneOf(List<String> values) implements QueryValues {}
}
