package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** A document that was refused, with everything that is wrong with it. */
public final class InvalidResourceException extends RefusedException {

  private static final long serialVersionUID = 1L;

  private final transient List<FieldError> errors;

  /**
   * Refuses a document.
   *
   * @param code {@code invalid_json} if it could not be read at all
   * @param errors what is wrong, at least one
   */
  public InvalidResourceException(ProblemCode code, List<FieldError> errors) {
    super(code, summary(errors));
    this.errors = List.copyOf(errors);
  }

  /** Refuses a document whose fields have these errors. */
  static InvalidResourceException of(List<FieldError> errors) {
    Set<String> codes = errors.stream().map(FieldError::code).collect(Collectors.toSet());
    if (codes.equals(Set.of(FieldError.UNKNOWN_REFERENCE))) {
      return new InvalidResourceException(ProblemCode.UNKNOWN_REFERENCE, errors);
    }
    boolean inTheWay = Set.of(FieldError.CONFLICT, FieldError.NOT_YOURS).containsAll(codes);
    return new InvalidResourceException(
        inTheWay ? ProblemCode.CONFLICT : ProblemCode.INVALID_FIELD, errors);
  }

  /** Everything that is wrong, in the order of the document. */
  public List<FieldError> errors() {
    return errors;
  }

  private static String summary(List<FieldError> errors) {
    FieldError first = errors.getFirst();
    String place = first.pointer().isEmpty() ? "the document" : first.pointer();
    String more = errors.size() == 1 ? "" : " (and " + (errors.size() - 1) + " more)";
    return place + ": " + first.detail() + more;
  }
}
