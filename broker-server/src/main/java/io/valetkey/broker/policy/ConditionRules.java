package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Conditions;
import io.valetkey.broker.condition.QueryValues;
import io.valetkey.broker.condition.WhenCondition;
import io.valetkey.broker.policy.ScopeSpec.Rule;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the conditions of a rule must be, as far as it can be told from themselves. */
final class ConditionRules {

  private static final int MOST_PARAMETERS = 50;
  private static final int MOST_VALUES = 100;
  private static final int MOST_TYPES = 20;
  private static final int LONGEST_TYPE = 127;
  private static final long MOST_BODY = 1L << 30;
  private static final long MOST_CONDITION_BODY = 1L << 20;
  private static final String TOKEN_PUNCTUATION = "!#$%&'*+-.^_`|~"; // RFC 9110 tchar

  private ConditionRules() {}

  static void check(String pointer, Rule rule, Errors errors) {
    Conditions asked = rule.conditions();
    if (asked == null) {
      return;
    }
    if (asked.query() != null) {
      checkQuery(pointer + "/query", asked.query(), errors);
    }
    if (asked.contentTypes() != null) {
      checkTypes(pointer + "/contentTypes", asked.contentTypes(), errors);
    }
    if (asked.maxBody() != null && asked.maxBody() > MOST_BODY) {
      errors.invalid(pointer + "/maxBody", "must be at most 1GiB");
    }
    if (asked.jsonRpc() != null) {
      checkJsonRpc(pointer, rule, asked.jsonRpc(), errors);
    }
    if (asked.when() != null) {
      checkWhen(pointer + "/when", asked.when(), errors);
    }
    checkConditionBody(pointer + "/maxConditionBody", asked, errors);
  }

  private static void checkConditionBody(String pointer, Conditions asked, Errors errors) {
    Long most = asked.maxConditionBody();
    if (most != null && (most < 1 || most > MOST_CONDITION_BODY)) {
      errors.invalid(pointer, "must be from 1B to 1MiB");
    }
    if (most != null && asked.jsonRpc() == null && asked.when() == null) {
      errors.invalid(pointer, "needs jsonRpc or when: nothing else looks at the body");
    }
  }

  private static void checkJsonRpc(
      String pointer, Rule rule, Conditions.JsonRpc jsonRpc, Errors errors) {
    if (!rule.methods().equals(List.of("POST"))) {
      errors.invalid(pointer + "/methods", "must be POST alone where jsonRpc is asked for");
    }
    String at = pointer + "/jsonRpc";
    checkTexts(at + "/methods", jsonRpc.methods(), errors);
    if (jsonRpc.tools() != null) {
      checkTexts(at + "/tools", jsonRpc.tools(), errors);
      if (!jsonRpc.methods().contains("tools/call")) {
        errors.invalid(at + "/tools", "needs tools/call among the methods");
      }
    }
  }

  private static void checkTexts(String pointer, List<String> texts, Errors errors) {
    ResourceValidator.checkDistinct(pointer, texts, MOST_VALUES, errors);
    for (int i = 0; i < Math.min(texts.size(), MOST_VALUES); i++) {
      if (!ResourceValidator.isPrintable(texts.get(i))) {
        errors.invalid(pointer + "/" + i, "must be 1 to 255 printable characters");
      }
    }
  }

  private static void checkWhen(String pointer, String when, Errors errors) {
    try {
      WhenCondition.compile(when);
    } catch (IllegalArgumentException e) {
      errors.invalid(pointer, String.valueOf(e.getMessage()));
    }
  }

  private static void checkQuery(String pointer, Map<String, QueryValues> query, Errors errors) {
    if (query.size() > MOST_PARAMETERS) {
      errors.invalid(pointer, "must name at most " + MOST_PARAMETERS + " parameters");
      return;
    }
    query.forEach((name, values) -> {
      String at = FieldError.join(pointer, name);
      if (!ResourceValidator.isPrintable(name)) {
        errors.invalid(at, "must be the name of a parameter: 1 to 255 printable characters");
      }
      if (values instanceof QueryValues.OneOf(List<String> written)) {
        ResourceValidator.checkDistinct(at, written, MOST_VALUES, errors);
        for (int i = 0; i < Math.min(written.size(), MOST_VALUES); i++) {
          if (!written.get(i).isEmpty() && !ResourceValidator.isPrintable(written.get(i))) {
            errors.invalid(at + "/" + i, "must be at most 255 printable characters");
          }
        }
      }
    });
  }

  private static void checkTypes(String pointer, List<String> types, Errors errors) {
    ResourceValidator.checkDistinct(pointer, types, MOST_TYPES, errors);
    for (int i = 0; i < Math.min(types.size(), MOST_TYPES); i++) {
      if (!isMediaType(types.get(i))) {
        errors.invalid(
            pointer + "/" + i,
            "must be a media type such as application/json, in lower case, without parameters");
      }
    }
  }

  private static boolean isMediaType(String text) {
    int slash = text.indexOf('/');
    return slash > 0
        && text.length() <= LONGEST_TYPE
        && text.equals(text.toLowerCase(Locale.ROOT))
        && isToken(text.substring(0, slash))
        && isToken(text.substring(slash + 1))
        && text.indexOf('*') < 0;
  }

  private static boolean isToken(String text) {
    return !text.isEmpty() && text.chars().allMatch(ConditionRules::isTokenCharacter);
  }

  private static boolean isTokenCharacter(int c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || TOKEN_PUNCTUATION.indexOf(c) >= 0;
  }
}
