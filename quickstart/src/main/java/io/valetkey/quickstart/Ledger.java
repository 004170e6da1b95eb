package io.valetkey.quickstart;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** Prints what each step claims and whether it was proven, and remembers what was not. */
final class Ledger {

  /** One step of the walk. */
  interface Step {
    void run() throws InterruptedException;
  }

  private final PrintStream out;
  private final List<String> unproven = new ArrayList<>();
  private int steps;
  private int claims;

  Ledger(PrintStream out) {
    this.out = out;
  }

  /** Runs a step. One that breaks off, or that proves nothing, is not proven. */
  void step(String title, Step step) throws InterruptedException {
    steps++;
    out.printf("%2d. %s%n", steps, title);
    int before = claims;
    try {
      step.run();
      if (claims == before) {
        prove(false, "the step ended without having looked at anything");
      }
    } catch (RuntimeException e) {
      prove(false, "the step broke off: " + e.getMessage());
    }
  }

  /** Notes a claim about what was really observed. */
  void prove(boolean observed, String claim) {
    claims++;
    if (observed) {
      out.println("    proven: " + claim);
    } else {
      out.println("    NOT PROVEN: " + claim);
      unproven.add("step " + steps + ": " + claim);
    }
  }

  /** Whether there were steps, and all of them proved what they claimed. */
  boolean allProven() {
    return steps > 0 && unproven.isEmpty();
  }

  /** The last line. */
  void sum() {
    out.println(
        unproven.isEmpty()
            ? "    All " + steps + " steps proven, " + claims + " observations."
            : "    NOT PROVEN: " + unproven.size() + " of " + claims + " observations.");
  }
}
