package io.valetkey.broker.gateway;

import io.valetkey.broker.net.AddressRefusedException;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import io.valetkey.broker.upstream.SelfTestStep;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Goes the way of a request for nobody: address, credential, connection, and a request if a path is
 * named. Of the answer only the status is looked at. Blocks; not for an event loop.
 */
final class UpstreamProbe {

  private static final Logger log = LoggerFactory.getLogger(UpstreamProbe.class);
  private static final Duration LONGEST_ANSWER = Duration.ofSeconds(8);

  /** No agent has this name, so it shares no connection with any. */
  private static final String NOBODY = "";

  private final Vertx vertx;
  private final Egress egress;
  private final Credentials credentials;
  private final UpstreamPools pools;
  private final Destination target;
  private final Clock clock;
  private final List<SelfTestStep> steps = new ArrayList<>();
  private String step = "";
  private volatile @Nullable HttpClientRequest open;
  private volatile boolean cancelled;

  UpstreamProbe(
      Vertx vertx,
      Egress egress,
      Credentials credentials,
      UpstreamPools pools,
      Destination target,
      Clock clock) {
    this.vertx = vertx;
    this.egress = egress;
    this.credentials = credentials;
    this.pools = pools;
    this.target = target;
    this.clock = clock;
  }

  /**
   * Tries.
   *
   * @param path the path and query at the upstream; null to connect only
   */
  List<SelfTestStep> run(String method, @Nullable String path) {
    try {
      step = "path";
      Guard.Accepted accepted = accepted(method, path == null ? "/" : path);
      step = "address";
      List<InetAddress> addresses = await(egress.addresses(target));
      passed(
          egress.proxy(target) == null
              ? "The name resolves, and every address is allowed"
              : "Left to the upstream proxy, whose name resolves");
      step = "credential";
      Credentials.Credential credential = credential();
      UpstreamRequest request =
          UpstreamRequest.rebuild(accepted, target, credential, null, clock.instant());
      passed(
          target.hasCredential()
              ? "Fetched from its source; " + use()
              : "None goes into requests: the client certificate is all");
      Credentials.Credential certificate = certificate();
      var admitted =
          new Admission.Admitted(
              accepted,
              null,
              nobody(),
              target,
              addresses,
              credential,
              certificate,
              null,
              false,
              clock);
      step = "connection";
      HttpClientRequest out =
          await(onLoop(() -> pools.request(admitted, request, addresses.getFirst())));
      open = out;
      passed("Connected; the certificate is one of " + target.host());
      step = "request";
      if (path == null) {
        out.reset();
        steps.add(SelfTestStep.skipped(step, "Nothing was sent: name a path to try one"));
      } else if (cancelled) {
        failed("A stop came: nothing was sent");
      } else {
        steps.add(judge(await(onLoop(() -> send(out, request)))));
        out.reset();
      }
    } catch (RefusedException e) {
      failed(e.detail());
    } catch (ExecutionException e) {
      failed(sentence(Trace.cause(Objects.requireNonNullElse(e.getCause(), e))));
    } catch (TimeoutException e) {
      failed("It took longer than " + LONGEST_ANSWER.toSeconds() + " s");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      failed("The gateway is shutting down");
    }
    return steps;
  }

  /** Ends it because of a stop. */
  void cancel() {
    cancelled = true;
    HttpClientRequest out = open;
    if (out != null) {
      HardClose.of(out.connection());
    }
  }

  private String sentence(Throwable cause) {
    if (cancelled) {
      return "A stop came and ended it";
    }
    log.info("Self-test of {}, {}: {}", target.name(), step, cause.toString());
    return switch (cause) {
      case RefusedException refused -> refused.detail();
      case AddressRefusedException e -> "The name leads to an address that is not allowed";
      case UnknownHostException e -> "The name has no address";
      default -> {
        String alert = target.certificate() == null ? null : TlsRefusal.alert(cause);
        yield alert == null
            ? "It failed: " + Forward.connectFailure(cause).code()
            : "The upstream refused the client certificate: " + alert;
      }
    };
  }

  private Credentials.Credential credential()
      throws InterruptedException, ExecutionException, TimeoutException {
    return target.hasCredential()
        ? await(credentials.refresh(target.credentialOf(NOBODY)))
        : Credentials.Credential.NONE;
  }

  private Credentials.@Nullable Credential certificate()
      throws InterruptedException, ExecutionException, TimeoutException {
    DestinationSpec.Credential.Certificate wanted = target.certificate();
    if (wanted == null) {
      return null;
    }
    step = "client_certificate";
    Credentials.Credential certificate = await(credentials.refresh(wanted));
    passed("Signed with the names that were asked for, for a key that was made here");
    return certificate;
  }

  private String use() {
    Signing signing = target.injection().signing();
    if (signing != null) {
      return "it signs " + signing.words();
    }
    return "it can stand in the header "
        + target.injection().slots().stream()
            .map(Destination.Slot::header)
            .collect(Collectors.joining(", "));
  }

  private Guard.Accepted accepted(String method, String path) {
    Fields fields = new Fields();
    fields.add("Host", target.host());
    fields.add("User-Agent", "valetkey-self-test");
    Guard.Accepted accepted =
        Guard.accept(new Guard.Head(method, "/d/" + target.name() + path, fields));
    var _ = target.rules().read(accepted.path());
    return accepted;
  }

  private Caller nobody() {
    return new Caller("", "", 0, NOBODY, "", "", target.name(), Set.of(), null, null);
  }

  private <T> Future<T> onLoop(java.util.function.Supplier<Future<T>> work) {
    return Future.future(promise -> vertx.runOnContext(v -> work.get().onComplete(promise)));
  }

  private Future<Integer> send(HttpClientRequest out, UpstreamRequest request) {
    request.fields().list().forEach(field -> out.headers().add(field.name(), field.value()));
    out.end();
    return out.response().map(HttpClientResponse::statusCode);
  }

  private SelfTestStep judge(int status) {
    if (status == 401 || status == 403) {
      return SelfTestStep.failed(
          step, "The upstream answered " + status + ": it does not take the credential for this");
    }
    return status >= 500
        ? SelfTestStep.failed(step, "The upstream answered " + status)
        : SelfTestStep.passed(step, "The upstream answered " + status);
  }

  private static <T> T await(CompletableFuture<T> future)
      throws InterruptedException, ExecutionException, TimeoutException {
    return future.get(LONGEST_ANSWER.toMillis(), TimeUnit.MILLISECONDS);
  }

  private static <T> T await(Future<T> future)
      throws InterruptedException, ExecutionException, TimeoutException {
    return await(future.toCompletionStage().toCompletableFuture());
  }

  private void passed(String detail) {
    steps.add(SelfTestStep.passed(step, detail));
  }

  private void failed(String detail) {
    steps.add(SelfTestStep.failed(step, detail));
  }
}
