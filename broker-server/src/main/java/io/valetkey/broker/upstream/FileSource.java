package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Credentials as files of one directory, for example secrets that a CSI driver mounts.
 *
 * <p>Symbolic links are followed as long as they stay inside the directory: Kubernetes replaces
 * mounted files by changing a link named {@code ..data}. One trailing line break is not part of the
 * value. A file that its group or others may read is used, with a warning.
 */
public final class FileSource implements CredentialSource<DestinationSpec.Credential.File> {

  private static final Logger log = LoggerFactory.getLogger(FileSource.class);
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}");

  private final StrictJson json = new StrictJson(CredentialText.MAX_BYTES);
  private final Path directory;
  private final Set<String> warned = ConcurrentHashMap.newKeySet();

  /**
   * Reads below a directory.
   *
   * @param directory need not exist yet; until it does, every reference is refused
   */
  public FileSource(Path directory) {
    this.directory = directory;
  }

  @Override
  public SecretValue read(DestinationSpec.Credential.File reference) {
    return CredentialText.check(reference, content(reference));
  }

  @Override
  public SecretValue readKey(DestinationSpec.Credential.File reference) {
    return CredentialText.key(reference, content(reference));
  }

  /** Reads the file as one JSON object of texts, in the strict form of {@link StrictJson}. */
  @Override
  public CredentialFields read(
      DestinationSpec.Credential.File reference, List<String> required, List<String> optional) {
    ObjectNode object;
    try {
      object = json.object(content(reference).getBytes(StandardCharsets.UTF_8));
    } catch (InvalidResourceException e) {
      // Not its words: they point into the file.
      throw CredentialText.refused(reference, "is not one JSON object");
    }
    Map<String, Object> texts = new HashMap<>();
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      JsonNode value = entry.getValue();
      texts.put(entry.getKey(), value.isString() ? value.stringValue() : value);
    }
    return CredentialText.pick(reference, texts, required, optional);
  }

  private String content(DestinationSpec.Credential.File reference) {
    if (!NAME.matcher(reference.name()).matches()) {
      throw CredentialText.refused(reference, "is not a plain file name");
    }
    try {
      Path root = directory.toRealPath();
      Path file = root.resolve(reference.name()).toRealPath();
      if (!file.startsWith(root)) {
        throw CredentialText.refused(reference, "leads out of the directory");
      }
      if (!Files.isRegularFile(file)) {
        throw CredentialText.refused(reference, "is not a regular file");
      }
      warnIfReadable(reference, file);
      return text(file);
    } catch (NoSuchFileException e) {
      throw CredentialText.refused(reference, "does not exist");
    } catch (CharacterCodingException e) {
      throw CredentialText.refused(reference, "is not UTF-8 text");
    } catch (IOException e) {
      throw CredentialText.away(reference, "cannot be read: " + e.getClass().getSimpleName());
    }
  }

  private static String text(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      // One more than may be, so that what is too large is not cut but refused.
      byte[] bytes = in.readNBytes(CredentialText.MAX_BYTES + 3);
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      if (text.endsWith("\r\n")) {
        return text.substring(0, text.length() - 2);
      }
      return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    }
  }

  private void warnIfReadable(DestinationSpec.Credential.File reference, Path file)
      throws IOException {
    if (!Files.getFileStore(file).supportsFileAttributeView("posix")) {
      return;
    }
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
    boolean open =
        permissions.contains(PosixFilePermission.GROUP_READ)
            || permissions.contains(PosixFilePermission.OTHERS_READ);
    if (open && warned.add(reference.name())) {
      log.warn("{} can be read by its group or others", CredentialText.name(reference));
    }
  }
}
