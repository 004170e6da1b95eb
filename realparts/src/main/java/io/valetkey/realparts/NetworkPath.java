package io.valetkey.realparts;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A TCP path to a server on this machine, which a test can break: let it hang, so that bytes wait
 * and nobody is told, or cut it. New connections are accepted while it hangs, and hang too.
 */
public final class NetworkPath implements AutoCloseable {

  private static final int PIECE = 16 * 1024;

  private final ServerSocket listener;
  private final int target;
  private final Answers answers;
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition moves = lock.newCondition();
  private boolean hanging;

  /** Makes what becomes of the bytes that the server sends, for each connection anew. */
  @FunctionalInterface
  public interface Answers {

    /** Copies until the end, changing what it wants to change. */
    void copy(InputStream in, OutputStream out) throws IOException;
  }

  /** A path that passes everything on. */
  public static NetworkPath to(int port) {
    return new NetworkPath(port, null);
  }

  /** A path that treats what the server sends in this way. */
  public static NetworkPath to(int port, Answers answers) {
    return new NetworkPath(port, answers);
  }

  private NetworkPath(int target, @Nullable Answers answers) {
    this.target = target;
    this.answers = answers == null ? this::pass : answers;
    try {
      this.listener = new ServerSocket(0, 512, InetAddress.getLoopbackAddress());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread.ofVirtual().start(this::accept);
  }

  /** Where it begins, on the loopback address. */
  public int port() {
    return listener.getLocalPort();
  }

  /** From now on nothing moves, and no end of a connection is told to the other side. */
  public void hang() {
    set(true);
  }

  /** What waited moves on. */
  public void mend() {
    set(false);
  }

  /** Ends every connection there is. */
  public void cut() {
    sockets.forEach(NetworkPath::closeQuietly);
  }

  private void set(boolean hangs) {
    lock.lock();
    try {
      hanging = hangs;
      moves.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket near = listener.accept();
        Socket far = new Socket(InetAddress.getLoopbackAddress(), target);
        sockets.add(near);
        sockets.add(far);
        Thread.ofVirtual().start(() -> join(near, far, this::pass));
        Thread.ofVirtual().start(() -> join(far, near, answers));
      } catch (IOException e) {
        // The next one, or the end of this path.
      }
    }
  }

  private void join(Socket from, Socket to, Answers how) {
    try (from;
        to) {
      how.copy(from.getInputStream(), to.getOutputStream());
      awaitMoving();
    } catch (IOException e) {
      // One side is gone; so is the other now.
    } finally {
      sockets.remove(from);
      sockets.remove(to);
    }
  }

  private void pass(InputStream in, OutputStream out) throws IOException {
    byte[] piece = new byte[PIECE];
    int n = in.read(piece);
    while (n >= 0) {
      awaitMoving();
      out.write(piece, 0, n);
      out.flush();
      n = in.read(piece);
    }
  }

  private void awaitMoving() {
    lock.lock();
    try {
      while (hanging) {
        moves.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }

  private static void closeQuietly(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It is closed.
    }
  }

  @Override
  public void close() {
    mend();
    cut();
    try {
      listener.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
