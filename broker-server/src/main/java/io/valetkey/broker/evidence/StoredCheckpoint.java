package io.valetkey.broker.evidence;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** A checkpoint as it is stored; what the columns say proves nothing. */
record StoredCheckpoint(long number, Instant madeAt, long upto, SignedCheckpoint signed) {

  /** What it states, whoever signed it; null if it cannot be read or the columns differ. */
  @Nullable Checkpoint statement() {
    Checkpoint statement = signed.statement();
    boolean same =
        statement != null
            && statement.number() == number
            && madeAt.equals(statement.time())
            && statement.upto() == upto;
    return same ? statement : null;
  }
}
