package io.valetkey.broker.gateway;

import io.valetkey.broker.approval.ApprovalBook;
import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.approval.Standing;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How it stands with an approval, as an agent is told, and where it can ask again.
 *
 * @param standing how it stands
 * @param address where the gateway says so again
 */
record ApprovalNotice(Standing standing, String address) {

  /** Where approvals are, at the gateway's own address. */
  static final String PREFIX = "/approvals/";

  private static final String RETRY_SECONDS = "5";

  static ApprovalNotice of(Standing standing, GatewaySettings settings) {
    return new ApprovalNotice(standing, settings.publicUrl() + PREFIX + standing.id());
  }

  /** The id in the path of such an address, in the one form of an id; null if it is none. */
  static @Nullable UUID id(String path) {
    return ApprovalBook.id(path.substring(PREFIX.length()));
  }

  /** The header fields that say so. */
  Fields fields() {
    Fields fields = new Fields().add("Location", address);
    if (standing.state() == ApprovalState.PENDING) {
      fields.add("Retry-After", RETRY_SECONDS);
    }
    return fields;
  }

  /** Members of a JSON object, with a comma before each; nothing in them needs escaping. */
  private String members() {
    return ",\"approval_id\":\"%s\",\"approval_state\":\"%s\",\"approval_expires_at\":\"%s\",\"approval_url\":\"%s\""
        .formatted(standing.id(), standing.state().word(), standing.expiresAt(), address);
  }

  /** The same problem with what an agent can do about it. */
  String problem(String json) {
    return json.substring(0, json.length() - 1) + members() + "}";
  }

  /** All by itself. */
  String json() {
    return "{" + members().substring(1) + "}";
  }
}
