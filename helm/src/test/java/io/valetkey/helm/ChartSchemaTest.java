package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What values the chart takes. */
@NeedsHelm
class ChartSchemaTest {

  @TempDir Path folder;

  private static JsonNode schema() throws Exception {
    return JsonMapper.shared()
        .readTree(Files.readString(Chart.FOLDER.resolve("values.schema.json")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          gatway.replicas=2                                    | additional properties 'gatway' not allowed
          gateway.replica=2                                    | at '/gateway': additional properties 'replica' not allowed
          gateway.service.prt=2                                | at '/gateway/service': additional properties 'prt' not allowed
          issuer.replicas=two                                  | at '/issuer/replicas': got string, want integer
          publicUrl=http://valetkey.example.com                | at '/publicUrl'
          publicUrl=https://valetkey.example.com/              | at '/publicUrl'
          database.url=jdbc:postgresql://db/v?password=x       | at '/database/url'
          database.password=x                                  | at '/database': additional properties 'password' not allowed
          admin.bootstrapToken.token=x                         | additional properties 'token' not allowed
          admin.oidc.roleMapping[0]=platform=root              | at '/admin/oidc/roleMapping/0'
          console.oidc.clientSecret.value=x                    | at '/console/oidc/clientSecret': additional properties 'value' not allowed
          settings.valetkey\\.vault\\.token=x                  | invalid propertyName 'valetkey.vault.token'
          settings.spring\\.datasource\\.password=x            | invalid propertyName 'spring.datasource.password'
          migrations.mode=never                                | at '/migrations/mode': value must be one of
          vault.uri=http://vault.example.com                   | at '/vault/uri'
          vault.role=shared                                    | at '/vault': additional properties 'role' not allowed
          gateway.vault.token=x                                | at '/gateway/vault': additional properties 'token' not allowed
          issuer.settings.valetkey\\.vault\\.token=x           | invalid propertyName 'valetkey.vault.token'
          settings.valetkey\\.audit\\.signing-key=x            | invalid propertyName 'valetkey.audit.signing-key'
          settings.valetkey\\.audit\\.sinks\\.file=x           | invalid propertyName 'valetkey.audit.sinks.file'
          gateway.settings.valetkey\\.audit\\.sinks\\.file=x   | invalid propertyName 'valetkey.audit.sinks.file'
          networkPolicy.extraEgress[0].to=x                    | additional properties 'extraEgress' not allowed
          agents.admission.action=Ignore                       | at '/agents/admission/action'
          image.digest=sha256:1                                | at '/image/digest'
          """)
  void value_thatIsWrong_isRefusedByItsName(String value, String said) {
    assertThat(Chart.template("minimum", "--set", value).unsuccessfully()).contains(said);
  }

  /** To nowhere in particular is to everywhere, in a NetworkPolicy. */
  @Test
  void rangesAndPorts_ofARuleAreNeverNone() {
    for (String list :
        List.of(
            "privateCidrs",
            "dns/ports",
            "identity/ports",
            "upstreams/ports",
            "upstreams/privatePorts")) {
      String value = "networkPolicy." + list.replace('/', '.') + "=[]";
      assertThat(Chart.template("minimum", "--set-json", value).unsuccessfully())
          .contains("at '/networkPolicy/" + list + "': minItems");
    }
  }

  @Test
  void addresses_thatNobodyGaveAndNothingImplies_areAskedFor() {
    assertThat(Chart.template("minimum", "--set", "tls.issuer.existingSecret=").unsuccessfully())
        .contains("set publicUrl, the https address under which the issuer is known");
  }

  @Test
  void everyObjectOfTheSchema_isClosedAndEveryValueDescribed() throws Exception {
    List<String> faults = new ArrayList<>();
    check("", schema(), faults);
    assertThat(faults).isEmpty();
  }

  private static void check(String at, JsonNode schema, List<String> faults) {
    if (!schema.at("/description").isString()) {
      faults.add(at + " has no description");
    }
    JsonNode properties = schema.at("/properties");
    if (!properties.isMissingNode() && schema.at("/additionalProperties").asBoolean(true)) {
      faults.add(at + " is open");
    }
    properties.properties().forEach(p -> check(at + "/" + p.getKey(), p.getValue(), faults));
  }

  @Test
  void everyDefault_isInTheSchemaAndTheOtherWayRound() throws Exception {
    JsonNode values =
        JsonMapper.shared()
            .valueToTree(new Yaml().load(Files.readString(Chart.FOLDER.resolve("values.yaml"))));
    List<String> faults = new ArrayList<>();
    compare("", schema(), values, faults);
    assertThat(faults).containsExactlyInAnyOrder("/global", "/enabled");
  }

  private static void compare(String at, JsonNode schema, JsonNode values, List<String> faults) {
    schema
        .at("/properties")
        .properties()
        .forEach(property -> {
          JsonNode value = values.get(property.getKey());
          if (value == null) {
            faults.add(at + "/" + property.getKey());
          } else {
            compare(at + "/" + property.getKey(), property.getValue(), value, faults);
          }
        });
  }

  /** The chart below a parent, as {@code charts/valetkey}. */
  private Path parent(String values) throws Exception {
    for (String file : List.of("Chart.yaml", "values.yaml", "templates/notes.yaml")) {
      Path target = folder.resolve(file);
      Files.createDirectories(target.getParent());
      Files.copy(Chart.RESOURCES.resolve("parent").resolve(file), target);
    }
    try (var files = Files.walk(Chart.FOLDER)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path target = folder.resolve("charts/valetkey").resolve(Chart.FOLDER.relativize(file));
        Files.createDirectories(target.getParent());
        Files.copy(file, target);
      }
    }
    return Files.writeString(folder.resolve("own.yaml"), values);
  }

  @Test
  void asASubchart_itTakesGlobalAndEnabled() throws Exception {
    String own =
        "valetkey:\n  enabled: true\n"
            + Files.readString(Path.of(Chart.values("minimum"))).indent(2);
    Path values = parent(own);
    assertThat(
            Chart.helm(Map.of(), "lint", "--strict", folder.toString(), "-f", values.toString())
                .successfully())
        .doesNotContain("[ERROR]");
    Rendered chart =
        Rendered.parse(
            Chart.helm(Map.of(), "template", "p", folder.toString(), "-f", values.toString())
                .successfully());
    chart.one("ConfigMap", "of-the-parent");
    chart.one("Deployment", "p-valetkey-issuer");
    chart.one("Deployment", "p-valetkey-gateway");
  }

  @Test
  void asASubchart_thatIsNotEnabled_itNeedsNothing() throws Exception {
    Path values = parent("valetkey: { enabled: false }\n");
    Rendered chart =
        Rendered.parse(
            Chart.helm(Map.of(), "template", "p", folder.toString(), "-f", values.toString())
                .successfully());
    assertThat(chart.objects()).hasSize(1);
  }
}
