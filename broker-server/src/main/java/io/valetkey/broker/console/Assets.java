package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.HexFormat;
import java.util.Map;
import org.springframework.core.io.ClassPathResource;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** The files that pages need. Their addresses change with their contents. */
@RestController
@Hidden
class Assets {

  private static final String HTMX = "META-INF/resources/webjars/htmx.org/2.0.10/dist/htmx.min.js";

  private static final class Asset {
    private final byte[] bytes;
    private final MediaType type;
    private final String version;

    Asset(byte[] bytes, MediaType type, String version) {
      this.bytes = bytes;
      this.type = type;
      this.version = version;
    }
  }

  private final Map<String, Asset> assets =
      Map.of(
          "htmx.min.js", read(HTMX, new MediaType("text", "javascript")),
          "console.css", read("console/console.css", new MediaType("text", "css")),
          "icon.svg", read("console/icon.svg", new MediaType("image", "svg+xml")));

  private static Asset read(String path, MediaType type) {
    try (InputStream file = new ClassPathResource(path).getInputStream()) {
      byte[] bytes = file.readAllBytes();
      byte[] digest = Sha256.of(bytes);
      return new Asset(bytes, type, HexFormat.of().formatHex(digest, 0, 8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String address(String file) {
    Asset asset = assets.get(file);
    return ConsoleRoutes.ASSETS + "/" + (asset == null ? "none" : asset.version) + "/" + file;
  }

  @GetMapping(ConsoleRoutes.ASSETS + "/{version}/{file}")
  ResponseEntity<byte[]> get(
      @PathVariable("version") String version, @PathVariable("file") String file) {
    Asset asset = assets.get(file);
    if (asset == null || !asset.version.equals(version)) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such file.");
    }
    return ResponseEntity.ok()
        .contentType(asset.type)
        .header("Cache-Control", "public, max-age=31536000, immutable")
        .body(asset.bytes);
  }
}
