package io.valetkey.broker.declaration;

import io.valetkey.broker.policy.DeclaredResource;
import io.valetkey.broker.policy.FieldError;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What somebody declares to be their part of the policy.
 *
 * @param managedBy who; null where that is said elsewhere
 * @param prune whether what they have and the set has not is deleted
 * @param generation which generation of the set it is; null if it has none
 * @param resources what is to be there
 * @param origins where each resource stands, if that is not simply its place in the list
 */
public record DeclaredSet(
    @Nullable String managedBy,
    boolean prune,
    @Nullable Long generation,
    List<DeclaredResource> resources,
    List<String> origins) {

  private static final Pattern PLACE = Pattern.compile("/documents/([0-9]{1,6})(/.*)?");

  /** The same errors at the places where the resources really stand. */
  List<FieldError> at(List<FieldError> errors) {
    return at(origins, errors);
  }

  static List<FieldError> at(List<String> origins, List<FieldError> errors) {
    return errors.stream().map(error -> at(origins, error)).toList();
  }

  private static FieldError at(List<String> origins, FieldError error) {
    Matcher place = PLACE.matcher(error.pointer());
    if (!place.matches()) {
      return error;
    }
    String rest = place.group(2) == null ? "" : place.group(2);
    String origin = origins.get(Integer.parseInt(place.group(1)));
    return new FieldError(origin + rest, error.code(), error.detail());
  }
}
