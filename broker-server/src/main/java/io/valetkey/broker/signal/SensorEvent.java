package io.valetkey.broker.signal;

import io.valetkey.broker.identity.KubernetesPod;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Signal.About;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads what runtime sensors send, told apart by its shape. */
public final class SensorEvent {

  private SensorEvent() {}

  /**
   * Reads one event of Falco, of falcosidekick or of Tetragon.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_JSON}, {@link ProblemCode#INVALID_FIELD} or
   *     {@link ProblemCode#CONTENT_TOO_LARGE}; the detail repeats nothing of the document
   */
  public static Signal read(byte[] document) {
    Map<String, @Nullable Object> fields = ForeignJson.object(document);
    boolean falco = FalcoEvent.isOne(fields);
    boolean tetragon = TetragonEvent.isOne(fields);
    if (falco == tetragon) {
      throw new RefusedException(
          ProblemCode.INVALID_FIELD, "The body must be one event of Falco or one of Tetragon.");
    }
    return falco ? FalcoEvent.read(fields) : TetragonEvent.read(fields);
  }

  /** A pod whose names are names; what else a sensor may have written is about nobody. */
  static About pod(@Nullable String namespace, @Nullable String name, @Nullable String uid) {
    if (namespace == null
        || name == null
        || !KubernetesPod.isName(namespace)
        || !KubernetesPod.isName(name)
        || (uid != null && !KubernetesPod.isName(uid))) {
      return new About.Nobody();
    }
    return new About.Pod(namespace, name, uid);
  }
}
