package io.valetkey.broker.upstream;

/**
 * One thing that a test of a destination tried.
 *
 * @param step what
 * @param result {@code passed}, {@code failed} or {@code skipped}
 * @param detail one sentence; never a secret
 */
public record SelfTestStep(String step, String result, String detail) {

  /** It is as it should be. */
  public static SelfTestStep passed(String step, String detail) {
    return new SelfTestStep(step, "passed", detail);
  }

  /** It is not as it should be. */
  public static SelfTestStep failed(String step, String detail) {
    return new SelfTestStep(step, "failed", detail);
  }

  /** It was not tried. */
  public static SelfTestStep skipped(String step, String detail) {
    return new SelfTestStep(step, "skipped", detail);
  }

  /** Whether this is a fault. */
  public boolean failed() {
    return result.equals("failed");
  }
}
