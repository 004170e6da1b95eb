package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.List;

/** Collects what is wrong with one document. */
final class Errors {

  private static final int MOST = 100;

  private final List<FieldError> found = new ArrayList<>();

  void invalid(String pointer, String detail) {
    add(pointer, FieldError.INVALID_VALUE, detail);
  }

  void add(String pointer, String code, String detail) {
    if (found.size() < MOST) {
      found.add(new FieldError(pointer, code, detail));
    }
  }

  List<FieldError> all() {
    return List.copyOf(found);
  }
}
