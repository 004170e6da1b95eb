package io.valetkey.bench;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** What was written on the command line as {@code --name=value}; an unknown name is an error. */
final class Options {

  private final Map<String, String> values = new HashMap<>();

  Options(String[] args, String... known) {
    Set<String> names = new TreeSet<>(Arrays.asList(known));
    for (String arg : args) {
      int equals = arg.indexOf('=');
      if (!arg.startsWith("--") || equals < 0 || !names.contains(arg.substring(2, equals))) {
        throw new IllegalArgumentException(arg + " is not one of --name=value with " + names);
      }
      values.put(arg.substring(2, equals), arg.substring(equals + 1));
    }
  }

  int number(String name, int otherwise) {
    return Integer.parseInt(values.getOrDefault(name, String.valueOf(otherwise)));
  }

  String text(String name, String otherwise) {
    return values.getOrDefault(name, otherwise);
  }
}
