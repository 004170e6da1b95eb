package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * The house as one table: a package may use packages of rings further in, and nothing else of ours.
 * A package that is not in the table does not exist. Invariant: A1.
 */
class ArchitectureTest {

  private static final String ROOT = "io.valetkey.broker";

  /** Ring by package; the root package wires everything and is used by nobody. */
  private static final Map<String, Integer> RING =
      Map.ofEntries(
          Map.entry("secret", 0),
          Map.entry("problem", 0),
          Map.entry("crypto", 0),
          Map.entry("net", 0),
          Map.entry("feed", 0),
          Map.entry("identity", 1),
          Map.entry("audit", 1),
          Map.entry("telemetry", 1),
          Map.entry("limit", 1),
          Map.entry("condition", 1),
          Map.entry("evidence", 2),
          Map.entry("sink", 2),
          Map.entry("policy", 2),
          Map.entry("approval", 2),
          Map.entry("stop", 2),
          Map.entry("access", 3),
          Map.entry("token", 3),
          Map.entry("upstream", 3),
          Map.entry("lease", 4),
          Map.entry("signal", 4),
          Map.entry("declaration", 4),
          Map.entry("control", 4),
          Map.entry("issuance", 5),
          Map.entry("gateway", 5),
          Map.entry("admin", 5),
          Map.entry("console", 5));

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT);

  @Test
  void package_usesOnlyRingsFurtherIn() {
    Map<String, Set<String>> wrong = new TreeMap<>();
    for (JavaClass type : CLASSES) {
      String from = packageOf(type);
      for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
        String to = packageOf(dependency.getTargetClass());
        if (to.isEmpty() || to.equals(from) || from.equals("root")) {
          continue;
        }
        if (to.equals("root") || RING.getOrDefault(to, 99) >= RING.getOrDefault(from, -1)) {
          wrong
              .computeIfAbsent(from + " -> " + to, k -> new TreeSet<>())
              .add(dependency.getDescription());
        }
      }
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void everyPackage_standsInTheTable() {
    Set<String> found = new TreeSet<>();
    CLASSES.forEach(type -> found.add(packageOf(type)));
    found.remove("root");
    assertThat(found).isEqualTo(new TreeSet<>(RING.keySet()));
  }

  @Test
  void noRecord_holdsASecret() {
    Set<String> wrong = new TreeSet<>();
    CLASSES.stream()
        .filter(JavaClass::isRecord)
        .forEach(type ->
            type.getFields().stream()
                .filter(f -> f.getRawType().getName().equals(ROOT + ".secret.SecretValue"))
                .forEach(f -> wrong.add(f.getFullName())));
    assertThat(wrong).isEmpty();
  }

  @Test
  void everyPackage_isNullMarkedAndSaysWhatItAnswers() {
    Set<String> wrong = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      if (!type.getPackage().isAnnotatedWith("org.jspecify.annotations.NullMarked")) {
        wrong.add(type.getPackageName());
      }
    }
    assertThat(wrong).isEmpty();
  }

  private static String packageOf(JavaClass type) {
    String name = type.getPackageName();
    if (name.equals(ROOT)) {
      return "root";
    }
    return name.startsWith(ROOT + ".") ? name.substring(ROOT.length() + 1) : "";
  }
}
