package io.valetkey.quickstart;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** What the walk may call proven. */
class LedgerTest {

  private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
  private final Ledger ledger = new Ledger(new PrintStream(printed, true, StandardCharsets.UTF_8));

  @Test
  void allProven_whenEveryClaimWasObserved_isTrue() throws Exception {
    ledger.step("one", () -> ledger.prove(true, "seen"));

    assertThat(ledger.allProven()).isTrue();
  }

  @Test
  void allProven_whenNothingWasLookedAt_isFalse() throws Exception {
    assertThat(ledger.allProven()).isFalse();

    ledger.step("one", () -> {});

    assertThat(ledger.allProven()).isFalse();
  }

  @Test
  void allProven_whenOneClaimWasNotObserved_isFalseAndSaysWhich() throws Exception {
    ledger.step("one", () -> ledger.prove(false, "a refusal"));
    ledger.step("two", () -> ledger.prove(true, "seen"));
    ledger.sum();

    assertThat(ledger.allProven()).isFalse();
    assertThat(printed.toString(StandardCharsets.UTF_8))
        .contains("NOT PROVEN: a refusal")
        .contains("NOT PROVEN: 1 of 2 observations");
  }

  @Test
  void allProven_whenAStepBreaksOff_isFalseAndTheNextStillRuns() throws Exception {
    ledger.step(
        "one",
        () -> {
          throw new IllegalStateException("no answer");
        });
    ledger.step("two", () -> ledger.prove(true, "seen"));

    assertThat(ledger.allProven()).isFalse();
    assertThat(printed.toString(StandardCharsets.UTF_8))
        .contains("no answer")
        .contains("proven: seen");
  }
}
