package io.valetkey.broker.signal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.policy.SignalRuleSpec.Priority;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Signal.About;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is taken from an event, and that nothing else is. Invariants: F4, P6. */
class SensorEventTest {

  private static final String SECRET = "sk-live-in-a-command-line";

  /** As Falco writes it, with the further members of falcosidekick. */
  static final String FALCO =
      """
      {"uuid":"f1b3b7a0-1c9e-4b6e-9c1e-0c1d2e3f4a5b",
       "output":"16:31:56.74: Warning Sensitive file opened (command=curl -H %1$s)",
       "priority":"Warning","rule":"Read sensitive file untrusted",
       "time":"2026-11-24T12:00:00.746609046Z","source":"syscall","hostname":"node-1",
       "tags":["filesystem","mitre_credential_access"],
       "output_fields":{"container.id":"8cff1c1639fc","evt.type":"openat","evt.time":1764000000746609046,
         "fd.name":"/etc/shadow","k8s.ns.name":"team-a","k8s.pod.name":"claims-bot-1",
         "k8s.pod.uid":"0b6f0f2e-6c52-4f0a-8f2b-9f3b3f0c5a11","proc.cmdline":"curl -H %1$s",
         "proc.pname":null,"user.name":"root"}}
      """;

  static final String TETRAGON =
      """
      {"process_kprobe":{"process":{"exec_id":"bm9kZS0xOjE=","binary":"/usr/bin/curl","arguments":"-H %1$s",
         "pod":{"namespace":"team-a","name":"claims-bot-1","uid":"0b6f0f2e-6c52-4f0a-8f2b-9f3b3f0c5a11",
                "container":{"id":"containerd://8cff1c1639fc11aa","name":"agent"},
                "pod_labels":{"app":"claims-bot"},"workload":"claims-bot","workload_kind":"Deployment"}},
        "parent":{"pod":{"namespace":"kube-system","name":"other"}},
        "function_name":"fd_install","args":[{"string_arg":"%1$s"}],"action":"KPROBE_ACTION_POST",
        "policy_name":"file-monitoring"},
       "node_name":"node-1","time":"2026-11-24T12:00:00.1Z"}
      """;

  private static Signal read(String document) {
    return SensorEvent.read(document.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void falco_isReadByRulePriorityTimeAndPod() {
    Signal signal = read(FALCO.formatted(SECRET));

    assertThat(signal.facts().source()).isEqualTo(Source.FALCO);
    assertThat(signal.facts().rule()).isEqualTo("Read sensitive file untrusted");
    assertThat(signal.facts().priority()).isEqualTo(Priority.WARNING);
    assertThat(signal.occurredAt()).isEqualTo(Instant.parse("2026-11-24T12:00:00.746609046Z"));
    assertThat(signal.about())
        .isEqualTo(new About.Pod("team-a", "claims-bot-1", "0b6f0f2e-6c52-4f0a-8f2b-9f3b3f0c5a11"));
    assertThat(signal.words())
        .containsOnlyKeys("uuid", "falco_source", "evt_type", "container_id")
        .containsEntry("evt_type", "openat");
    assertThat(signal.toString()).doesNotContain(SECRET).doesNotContain("shadow");
  }

  @Test
  void tetragon_isReadByPolicyTypeAndTheProcessesOwnPod() {
    Signal signal = read(TETRAGON.formatted(SECRET));

    assertThat(signal.facts().source()).isEqualTo(Source.TETRAGON);
    assertThat(signal.facts().rule()).isEqualTo("file-monitoring");
    assertThat(signal.facts().event()).isEqualTo("process_kprobe");
    assertThat(signal.about())
        .isEqualTo(new About.Pod("team-a", "claims-bot-1", "0b6f0f2e-6c52-4f0a-8f2b-9f3b3f0c5a11"));
    assertThat(signal.words()).containsOnlyKeys("function", "container_id");
    assertThat(signal.toString()).doesNotContain(SECRET);
  }

  @ParameterizedTest
  @ValueSource(strings = {"null", "\"<NA>\"", "\"\"", "\"Not_A_Name\"", "\"two words\""})
  void pod_whenItsNameIsUnknownOrNone_isAboutNobody(String name) {
    String event = FALCO.formatted(SECRET).replace("\"claims-bot-1\"", name);

    assertThat(read(event).about()).isInstanceOf(About.Nobody.class);
  }

  @Test
  void auditLog_isAboutTheAccountThatActed_andNotAboutAPodItNames() {
    String event =
        FALCO
            .formatted(SECRET)
            .replace("\"syscall\"", "\"k8s_audit\"")
            .replace(
                "\"user.name\":\"root\"",
                "\"ka.user.name\":\"system:serviceaccount:team-a:claims-bot\"");

    assertThat(read(event).about())
        .isEqualTo(new About.Account(null, "system:serviceaccount:team-a:claims-bot"));
    assertThat(read(event.replace("system:serviceaccount:team-a:claims-bot", "alice")).about())
        .isInstanceOf(About.Nobody.class);
  }

  /** A process chooses its file names: it must not be able to make its own events unreadable. */
  @Test
  void event_whenItHoldsBytesThatAreNoText_isReadAllTheSame() throws Exception {
    String[] halves = FALCO.formatted(SECRET).split("/etc/shadow", 2);
    var bytes = new ByteArrayOutputStream();
    bytes.write(halves[0].getBytes(StandardCharsets.UTF_8));
    bytes.write(new byte[] {(byte) 0xc3, (byte) 0x28, (byte) 0xff});
    bytes.write(halves[1].getBytes(StandardCharsets.UTF_8));

    assertThat(SensorEvent.read(bytes.toByteArray()).about()).isInstanceOf(About.Pod.class);
  }

  @Test
  void event_whenAProcessMadeItLong_isReadAllTheSame() {
    String event = FALCO.formatted("\\u0001".repeat(30_000));

    assertThat(event.length()).isGreaterThan(300_000);
    assertThat(read(event).about()).isInstanceOf(About.Pod.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"rule\":\"Read sensitive file untrusted\" | \"rule\":7",
        "\"rule\":\"Read sensitive file untrusted\" | \"rule\":null",
        "\"rule\":\"Read sensitive file untrusted\" | \"rule\":\"two\\nlines\"",
        "\"priority\":\"Warning\" | \"priority\":\"Bad\"",
        "\"priority\":\"Warning\" | \"priority\":[\"Warning\"]",
        "\"k8s.pod.name\":\"claims-bot-1\" | \"k8s.pod.name\":1",
        "\"time\":\"2026-11-24T12:00:00.746609046Z\" | \"time\":\"yesterday\"",
        "\"time\":\"2026-11-24T12:00:00.746609046Z\" | \"time\":1",
        "\"source\":\"syscall\" | \"source\":{}",
        "\"hostname\":\"node-1\" | \"hostname\":\"a\",\"hostname\":\"b\"",
        "\"hostname\":\"node-1\" | \"process_exec\":{}",
      })
  void field_whenItIsNotWhatFalcoWrites_refusesWithoutRepeatingIt(String good, String bad) {
    String event = FALCO.formatted(SECRET);
    assertThat(event).contains(good);

    assertThatThrownBy(() -> read(event.replace(good, bad)))
        .isInstanceOf(RefusedException.class)
        .message()
        .doesNotContain(SECRET)
        .doesNotContain("yesterday")
        .doesNotContain("Bad");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"rule\":\"x\"}",
        "{\"process_exec\":1}",
        "{\"process_exec\":{},\"process_exit\":{}}",
        "{\"process_exec\":{\"process\":[]}}",
        "{\"process_exec\":{\"process\":{\"pod\":{\"name\":1}}}}",
        "{\"rate_limit_info\":{}}",
        "{\"rule\":\"x\",\"priority\":\"Error\"} {\"rule\":\"x\",\"priority\":\"Error\"}",
      })
  void document_whenItIsNotOneEvent_isRefused(String document) {
    assertThatThrownBy(() -> read(document)).isInstanceOf(RefusedException.class);
  }

  @Test
  void document_whenItIsLargerThanAMebibyte_isRefused() {
    assertThatThrownBy(() -> read(FALCO.formatted("x".repeat(1 << 20))))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.CONTENT_TOO_LARGE));
  }

  @Test
  void process_whenItIsInNoPod_isAboutNobody() {
    assertThat(read("{\"process_exec\":{\"process\":{\"binary\":\"/bin/sh\"}}}").about())
        .isInstanceOf(About.Nobody.class);
  }
}
