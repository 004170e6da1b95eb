package io.valetkey.broker.policy;

/**
 * One thing that is wrong with a document, and where.
 *
 * @param pointer the place, as a JSON Pointer (RFC 6901); empty for the whole document
 * @param code one of the constants of this record
 * @param detail one sentence for people; never repeats a value that could be a secret
 */
public record FieldError(String pointer, String code, String detail) {

  /** The field is not one of those that are understood. */
  public static final String UNKNOWN_FIELD = "unknown_field";

  /** The same key occurs twice in one object. */
  public static final String DUPLICATE_KEY = "duplicate_key";

  /** The value has another JSON type than the field; nothing is ever converted. */
  public static final String WRONG_TYPE = "wrong_type";

  /** The field must be there. */
  public static final String REQUIRED = "required";

  /** The value has the right type and is not allowed. */
  public static final String INVALID_VALUE = "invalid_value";

  /** The value names something that does not exist. */
  public static final String UNKNOWN_REFERENCE = "unknown_reference";

  /** The value is reserved for something that this version does not do. */
  public static final String UNSUPPORTED = "unsupported";

  /** The value is allowed, and something else that exists stands in its way. */
  public static final String CONFLICT = "conflict";

  /** The resource belongs to another owner, or was made by hand. */
  public static final String NOT_YOURS = "not_yours";

  /** Appends one name to a pointer, escaped as RFC 6901 section 3 says. */
  public static String join(String pointer, String name) {
    return pointer + "/" + name.replace("~", "~0").replace("/", "~1");
  }

  /** The same error in a document that stands at another place of a larger one. */
  public FieldError below(String place) {
    return new FieldError(place + pointer, code, detail);
  }
}
