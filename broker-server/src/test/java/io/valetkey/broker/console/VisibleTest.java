package io.valetkey.broker.console;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Nothing that somebody decides about can be made to look like something else. */
class VisibleTest {

  @Test
  void whatCannotBeSeen_isShownAsItsCodePoint() {
    assertThat(Visible.line("pay\u202Eecila\u200B\u00A0\u0000\uE000"))
        .isEqualTo("pay⟨U+202E⟩ecila⟨U+200B⟩⟨U+00A0⟩⟨U+0000⟩⟨U+E000⟩");
    assertThat(Visible.line("tag \uDB40\uDC41")).isEqualTo("tag ⟨U+E0041⟩");
    assertThat(Visible.line("half \uD800")).isEqualTo("half ⟨U+D800⟩");
    assertThat(Visible.line("Grüße, 東京 <b>")).isEqualTo("Grüße, 東京 <b>");
  }

  @Test
  void lines_areKeptInATextAndShownInALine() {
    assertThat(Visible.text("a\r\n\tb\nc")).isEqualTo("a\n\tb\nc");
    assertThat(Visible.text("safe\rdanger")).isEqualTo("safe⟨U+000D⟩danger");
    assertThat(Visible.line("a\nb\tc")).isEqualTo("a⟨U+000A⟩b⟨U+0009⟩c");
  }
}
