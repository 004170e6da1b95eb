package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;

/** The one thing that is read as XML: it is a session, an error, or nothing. Invariant: C14. */
class StsAnswerFuzzTest {

  @FuzzTest
  void answer(byte[] input) {
    StsAnswer.Session session = StsAnswer.session(input);
    String code = StsAnswer.errorCode(input);
    if (session != null) {
      // Both have a root of their own.
      assertThat(code).isNull();
      assertThat(session.expiration()).isNotNull();
      assertThat(session.secretAccessKey()).isNotNull();
    }
    if (code != null) {
      assertThat(code).matches("[A-Za-z.]{1,64}");
    }
  }
}
