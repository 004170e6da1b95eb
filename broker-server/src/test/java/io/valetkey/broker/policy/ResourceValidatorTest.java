package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.OctetSequenceKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.OctetSequenceKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.net.Cidr;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ResourceValidatorTest {

  private final ResourceValidator validator =
      new ResourceValidator(
          address ->
              AddressRules.forDestinations(List.of(Cidr.parse("10.1.2.3/32")), Set.of())
                      .check(address, 0)
                  == AddressRules.Verdict.ALLOWED,
          address ->
              AddressRules.forIssuers(Set.of()).check(address, 0) == AddressRules.Verdict.ALLOWED,
          path -> path.startsWith("/var/run/secrets"));

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://api.openai.com",
        "https://api.openai.com:8443",
        "https://xn--bcher-kva.example",
        "https://8.8.8.8",
        "https://10.1.2.3",
        "https://[2606:4700::1111]"
      })
  void check_acceptsOrigins(String origin) {
    assertThat(originErrors(origin)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "api.openai.com",
        "http://api.openai.com",
        "HTTPS://api.openai.com",
        "https://API.openai.com",
        "https://api.openai.com/",
        "https://api.openai.com/v1",
        "https://api.openai.com?x",
        "https://api.openai.com#x",
        "https://u:p@api.openai.com",
        "https://api.openai.com:",
        "https://api.openai.com:0",
        "https://api.openai.com:65536",
        "https://api.openai.com.",
        "https://bücher.example",
        "https://a_b.example",
        "https://-a.example",
        "https://",
        "https://localhost",
        "https://x.localhost",
        "https://127.0.0.1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://10.0.0.1",
        "https://100.64.0.1",
        "https://172.16.0.1",
        "https://192.168.1.1",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://0.0.0.0",
        "https://[::1]",
        "https://[::]",
        "https://[fe80::1]",
        "https://[fe80::1%25eth0]",
        "https://[fd00::1]",
        "https://[fd00:ec2::254]",
        "https://[::ffff:127.0.0.1]",
        "https://[64:ff9b::7f00:1]",
        "https://[2002:7f00:1::]",
        "https://a b",
        "https://a\\u0000b"
      })
  void check_refusesOriginsThatAreNotPublicAndCanonical(String origin) {
    assertThat(originErrors(origin)).containsExactly("/origin");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"type":"spiffe","trustDomain":"td.test","issuer":"https://x.test","keys":{"jwksUri":"https://x.test/j"}} | /issuer
          {"type":"spiffe","keys":{"jwksUri":"https://x.test/j"}}                                     | /trustDomain
          {"type":"spiffe","trustDomain":"TD","keys":{"jwksUri":"https://x.test/j"}}                  | /trustDomain
          {"type":"spiffe","trustDomain":"td.test","keys":{"discovery":true}}                         | /keys/discovery
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"x509":{"fromBundleUri":true}} | /x509
          {"type":"spiffe","trustDomain":"td.test","keys":{"jwksUri":"https://x.test/j"},"x509":{"fromBundleUri":true}} | /x509/fromBundleUri
          {"type":"spiffe","trustDomain":"td.test","keys":{"bundleUri":"https://x.test/j"},"x509":{}} | /x509
          {"type":"spiffe","trustDomain":"td.test","x509":{"authorities":"nonsense"}} | /x509/authorities
          {"type":"spiffe","trustDomain":"td.test","x509":{"authorities":"-----BEGIN PRIVATE KEY-----"}} | /x509/authorities
          {"type":"spiffe","trustDomain":"td.test","keys":{"bundleUri":"https://x.test/j"},"x509":{"fromBundleUri":true,"maxAge":"91d"}} | /x509/maxAge
          {"type":"oidc","keys":{"discovery":true}}                                                   | /issuer
          {"type":"oidc","issuer":"https://x.test","trustDomain":"t","keys":{"discovery":true}}       | /trustDomain
          {"type":"oidc","issuer":"http://x.test","keys":{"discovery":true}}                          | /issuer
          {"type":"oidc","issuer":"https://u@x.test","keys":{"discovery":true}}                       | /issuer
          {"type":"oidc","issuer":"https://169.254.169.254","keys":{"discovery":true}}                | /issuer
          {"type":"oidc","issuer":"https://x.test","keys":{}}                                         | /keys
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":false}}                        | /keys
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true,"jwksUri":"https://x.test/j"}} | /keys
          {"type":"oidc","issuer":"https://x.test","keys":{"bundleUri":"https://x.test/j"}}           | /keys/bundleUri
          {"type":"oidc","issuer":"https://x.test","keys":{"jwks":{"keys":[]}}}                       | /keys/jwks/keys
          {"type":"oidc","issuer":"https://x.test","keys":{"jwks":{"keys":[{"kty":"x"}]}}}            | /keys/jwks/keys/0
          {"type":"oidc","issuer":"https://x.test","keys":{"jwks":{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"wJB34JMkI1OGZevhhBovlupr-ucGc0TMbfKQm6utNbM","y":"h9CcvbzllrGqJH7CNb-LRZtUfkXa9bh83wJTzYjiiqc"},{"kty":"EC","crv":"P-256","kid":"k","x":"Z62IiJ4J5C66jyr3E5fZM00R7XRTGymzIUora7jz67I","y":"KDizDXT8s81aMyEprbNfiuKYg5qIiubDODKZoynQv7g"}]}}} | /keys/jwks/keys/1
          {"type":"oidc","issuer":"https://x.test","keys":{"jwksUri":"ftp://x.test"}}                 | /keys/jwksUri
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true,"caCertificate":"x"}}     | /keys/caCertificate
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true,"bearerTokenFile":"/etc/passwd"}} | /keys/bearerTokenFile
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true,"bearerTokenFile":"/var/run/secrets/../../../etc/passwd"}} | /keys/bearerTokenFile
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"algorithms":[]}         | /algorithms
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"algorithms":["HS256"]}  | /algorithms/0
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"algorithms":["none"]}   | /algorithms/0
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"maxTokenAge":"25h"}     | /maxTokenAge
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"maxTokenAge":"999ms"}   | /maxTokenAge
          {"type":"oidc","issuer":"https://x.test","keys":{"discovery":true},"tokenReview":{"apiServer":"https://k.test"}} | /tokenReview
          """)
  void check_refusesIssuersThatDoNotFitTheirType(String document, String pointer) {
    assertThat(pointers(ResourceKind.ISSUER, document)).containsExactly(pointer);
  }

  @Test
  void check_neverAcceptsOrRepeatsAPrivateOrSymmetricKey() throws Exception {
    var ec = new ECKeyGenerator(Curve.P_256).generate();
    OctetSequenceKey symmetric = new OctetSequenceKeyGenerator(256).generate();
    for (String key : List.of(ec.toJSONString(), symmetric.toJSONString())) {
      List<FieldError> errors = errors(ResourceKind.ISSUER, jwks(key));
      assertThat(errors)
          .singleElement()
          .satisfies(error ->
              assertThat(error.detail())
                  .contains("private or symmetric")
                  .doesNotContain(ec.getD().toString(), symmetric.getKeyValue().toString()));
    }
    assertThat(errors(ResourceKind.ISSUER, jwks(ec.toPublicJWK().toJSONString()))).isEmpty();
    var rsa = new RSAKeyGenerator(1024, true).generate().toPublicJWK();
    assertThat(errors(ResourceKind.ISSUER, jwks(rsa.toJSONString()))).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          "slot":{"header":"X Y"}                                 | /slot/header
          "slot":{"header":"Host"}                                | /slot/header
          "slot":{"header":"transfer-encoding"}                   | /slot/header
          "slot":{"header":"Cookie"}                              | /slot/header
          "slot":{"format":"Bearer"}                              | /slot/format
          "slot":{"format":"{credential}{credential}"}            | /slot/format
          "slot":{"format":"{credential}\\r\\nX: y"}              | /slot/format
          "slot":{"format":"{credential}","basic":{"username":"u"}} | /slot/basic
          "slot":{"basic":{"username":"u:v"}}                     | /slot/basic/username
          "slots":[]                                              | /slots
          "slots":[{"header":"A"}],"slot":{"header":"B"}          | /slots
          "slots":[{"header":"A"},{"header":"a"}]                 | /slots/1/header
          "slots":[{"header":"A"},{"header":"Host"}]              | /slots/1/header
          "slots":[{"header":"A"},{"header":"B","format":"x"}]    | /slots/1/format
          "timeout":"11m"                                         | /timeout
          "maxStream":"25h"                                       | /maxStream
          "maxRequestBody":"2GiB"                                 | /maxRequestBody
          """)
  void check_refusesSlotsAndLimitsOfDestinations(String field, String pointer) {
    String document =
        Documents.DESTINATION.replaceFirst("\\{", "{" + field.replace("\\", "\\\\") + ",");
    assertThat(pointers(ResourceKind.DESTINATION, document)).containsExactly(pointer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          "source":"oauth-client-credentials","tokenEndpoint":"https://a.test/t?x=1","clientId":"c" | ''
          "source":"oauth-client-credentials","tokenEndpoint":"http://127.0.0.1/t","clientId":"c" | /credential/tokenEndpoint
          "source":"oauth-client-credentials","tokenEndpoint":"https://169.254.169.254/t","clientId":"c" | /credential/tokenEndpoint
          "source":"oauth-client-credentials","tokenEndpoint":"https://u@a.test/t","clientId":"c" | /credential/tokenEndpoint
          "source":"oauth-client-credentials","tokenEndpoint":"https://a.test/t","clientId":"" | /credential/clientId
          "source":"oauth-client-credentials","tokenEndpoint":"https://a.test/t","clientId":"c","scope":"a  b" | /credential/scope
          "source":"oauth-jwt-bearer","tokenEndpoint":"https://a.test/t","issuer":"i","subject":"s","scope":"a b" | ''
          "source":"oauth-jwt-bearer","tokenEndpoint":"https://a.test/t","issuer":"i","audience":"a\\nb" | /credential/audience
          "source":"github-app","appId":"1","installationId":"2","repositories":["a"],"permissions":{"contents":"read"} | ''
          "source":"github-app","appId":"1","installationId":"2/.." | /credential/installationId
          "source":"github-app","appId":"1","installationId":"2","api":"https://a.test/" | /credential/api
          "source":"github-app","appId":"1","installationId":"2","repositories":["a/b"] | /credential/repositories
          "source":"github-app","appId":"1","installationId":"2","repositories":[] | /credential/repositories
          "source":"github-app","appId":"1","installationId":"2","permissions":{"contents":"all"} | /credential/permissions/contents
          """)
  void check_ofTokensThatProvidersMake(String fields, String pointer) {
    String document =
        """
        {"kind":"http","origin":"https://a.test",
         "credential":{%s,"secret":{"source":"file","name":"f"}}}\
        """
            .formatted(fields);
    assertThat(pointers(ResourceKind.DESTINATION, document))
        .isEqualTo(pointer.isEmpty() ? List.of() : List.of(pointer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"source":"vault-kv","mount":"sys","path":"a","field":"f"} | /credential/secret/mount
          {"source":"vault-kv","mount":"secret","path":"a"}          | /credential/secret/field
          {"source":"file","name":"../f"}                            | /credential/secret/name
          {"source":"vault-dynamic","mount":"m","role":"r"}          | /credential/secret/source
          {"source":"github-app","appId":"1","installationId":"2","secret":{"source":"file","name":"f"}} | /credential/secret/source
          """)
  void check_ofWhatProvesUsToAProvider_takesOnlyWhatIsStored(String secret, String pointer) {
    String document =
        """
        {"kind":"http","origin":"https://a.test","credential":{"source":"oauth-jwt-bearer",
         "tokenEndpoint":"https://a.test/t","issuer":"i","secret":%s}}\
        """
            .formatted(secret);
    assertThat(pointers(ResourceKind.DESTINATION, document)).containsExactly(pointer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ,"field":"a" | "signing":{"type":"aws-sigv4","service":"s3","region":"eu-central-1"} | /credential/field
          ''           | "signing":{"type":"aws-sigv4","service":"s3","region":"eu-central-1"} | ''
          ''           | "http2":true,"signing":{"type":"aws-sigv4","service":"s3","region":"r"} | /http2
          ''           | "signing":{"type":"aws-sigv4","service":"S3","region":"eu-central-1"} | /signing/service
          ''           | "signing":{"type":"aws-sigv4","service":"s3","region":"eu/central"}   | /signing/region
          ''           | "slot":{"field":"a"},"signing":{"type":"aws-sigv4","service":"s3","region":"r"} | /signing
          ''           | "rawPath":true,"signing":{"type":"aws-sigv4","service":"sqs","region":"r"} | /rawPath
          ''           | "signing":{"type":"hmac-sha512","keyEncoding":"base64","timestamp":"rfc3339","message":"{timestamp}\\n{body}","headers":[{"header":"X-S","value":"v1={signature:hex}"}]} | ''
          ''           | "http2":true,"signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x","value":"{signature:hex}"}]} | /http2
          ''           | "signing":{"type":"hmac-sha256","message":"{signature:hex}","headers":[{"header":"x","value":"{signature:hex}"}]} | /signing/message
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[]} | /signing/headers
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x","value":"{nonce}"}]} | /signing/headers
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x y","value":"{signature:hex}"}]} | /signing/headers/0/header
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"Host","value":"{signature:hex}"}]} | /signing/headers/0/header
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x","value":"{signature:hex}"},{"header":"X","value":"{nonce}"}]} | /signing/headers/1/header
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x","value":"{signature:hex}{body}"}]} | /signing/headers/0/value
          ''           | "signing":{"type":"hmac-sha256","message":"{body}","headers":[{"header":"x","value":"a\\n{signature:hex}"}]} | /signing/headers/0/value
          ''           | "signing":{"type":"http-message-signature","label":"sig1","keyId":"k","expires":"1m","components":["@method","content-type","content-digest","x-a"]} | ''
          ''           | "signing":{"type":"http-message-signature","label":"Sig","components":["@method"]} | /signing/label
          ''           | "signing":{"type":"http-message-signature","label":"s","keyId":"a'b","components":["@method"]} | ''
          ''           | "signing":{"type":"http-message-signature","label":"s","keyId":"","components":["@method"]} | /signing/keyId
          ''           | "signing":{"type":"http-message-signature","label":"s","expires":"2h","components":["@method"]} | /signing/expires
          ''           | "signing":{"type":"http-message-signature","label":"s","components":[]} | /signing/components
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["@status"]} | /signing/components/0
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["@path","@path"]} | /signing/components/1
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["Date"]} | /signing/components/0
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["host"]} | /signing/components/0
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["signature"]} | /signing/components/0
          ''           | "signing":{"type":"http-message-signature","label":"s","components":["authorization"]} | /signing/components/0
          """)
  void check_ofSigning(String field, String signing, String pointer) {
    String document =
        """
        {"kind":"http","origin":"https://a.test",%s,
         "credential":{"source":"vault-kv","mount":"secret","path":"a"%s}}\
        """
            .formatted(signing, field);
    assertThat(pointers(ResourceKind.DESTINATION, document))
        .isEqualTo(pointer.isEmpty() ? List.of() : List.of(pointer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ,"field":"a" | {"header":"A","field":"a"} | /credential/field
          ''           | {"header":"A"}             | /credential/field
          ''           | {"header":"A","field":"a"},{"header":"B"} | /slots/1/field
          ''           | {"header":"A","field":"a/b"} | /slots/0/field
          ''           | {"header":"A","field":"a"},{"header":"B","field":"b"} | ''
          """)
  void check_namesFieldsInTheCredentialOrInTheSlots(String field, String slots, String pointer) {
    String document =
        """
        {"kind":"http","origin":"https://a.test","slots":[%s],
         "credential":{"source":"vault-kv","mount":"secret","path":"a"%s}}\
        """
            .formatted(slots, field);
    assertThat(pointers(ResourceKind.DESTINATION, document))
        .isEqualTo(pointer.isEmpty() ? List.of() : List.of(pointer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"source":"vault-kv","mount":"sys","path":"a","field":"f"}       | /credential/mount
          {"source":"vault-kv","mount":"SYS/x","path":"a","field":"f"}     | /credential/mount
          {"source":"vault-kv","mount":"/secret","path":"a","field":"f"}   | /credential/mount
          {"source":"vault-kv","mount":"secret","path":"../a","field":"f"} | /credential/path
          {"source":"vault-kv","mount":"secret","path":"a//b","field":"f"} | /credential/path
          {"source":"vault-kv","mount":"secret","path":"a?b","field":"f"}  | /credential/path
          {"source":"vault-kv","mount":"secret","path":"a%2f","field":"f"} | /credential/path
          {"source":"vault-kv","mount":"secret","path":"a","field":"a/b"}  | /credential/field
          {"source":"file","name":".hidden"}                               | /credential/name
          {"source":"file","name":".."}                                    | /credential/name
          {"source":"file","name":"a/b"}                                   | /credential/name
          """)
  void check_refusesCredentialsOutsideTheirPlace(String credential, String pointer) {
    String document =
        "{\"kind\":\"http\",\"origin\":\"https://a.test\",\"credential\":%s}".formatted(credential);
    assertThat(pointers(ResourceKind.DESTINATION, document)).containsExactly(pointer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          SCOPE | {"allow":[{"methods":[],"paths":["/a"]}]}                  | /allow/0/methods
          SCOPE | {"allow":[{"methods":["get"],"paths":["/a"]}]}             | /allow/0/methods/0
          SCOPE | {"allow":[{"methods":["TRACE"],"paths":["/a"]}]}           | /allow/0/methods/0
          SCOPE | {"allow":[{"methods":["GET","GET"],"paths":["/a"]}]}       | /allow/0/methods/1
          SCOPE | {"allow":[{"methods":["GET"],"paths":[]}]}                 | /allow/0/paths
          SCOPE | {"allow":[{"methods":["GET"],"paths":["a"]}]}              | /allow/0/paths/0
          SCOPE | {"allow":[{"methods":["GET"],"paths":["/a/../b"]}]}        | /allow/0/paths/0
          SCOPE | {"allow":[{"methods":["GET"],"paths":["/**/b"]}]}          | /allow/0/paths/0
          SCOPE | {"allow":[{"methods":["GET"],"paths":["/a*"]}]}            | /allow/0/paths/0
          SCOPE | {"allow":[{"methods":["WEBSOCKET"],"paths":["/a"]}]}       | /allow/0/methods/0
          SCOPE | {"allow":[{"methods":["POST"],"paths":["/a"],"webSocket":true}]} | /allow/0/webSocket
          SCOPE | {"allow":[],"maxTokenTtl":"2h"}                            | /maxTokenTtl
          AGENT | {"identities":[{"issuer":"I","subject":"s"}]}              | /identities/0/issuer
          AGENT | {"identities":[{"issuer":"i","subject":""}]}               | /identities/0/subject
          AGENT | {"identities":[{"issuer":"i","subject":"a\\nb"}]}          | /identities/0/subject
          AGENT | {"identities":[{"issuer":"i","subject":"s"},{"issuer":"i","subject":"s","claims":{}}]} | /identities/1
          AGENT | {"identities":[],"maxTokenTtl":"61m"}                      | /maxTokenTtl
          GRANT | {"agent":"a","destination":"d","scopes":[]}                | /scopes
          GRANT | {"agent":"a","destination":"d","scopes":["s","s"]}         | /scopes/1
          GRANT | {"agent":"a","destination":"d","scopes":["S"]}             | /scopes/0
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"requestsPerMinute":0}} | /limits/requestsPerMinute
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"modelTokensPerHour":0}} | /limits/modelTokensPerHour
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"modelTokensPerDay":-1}} | /limits/modelTokensPerDay
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"concurrentStreams":0}} | /limits/concurrentStreams
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"bytesPerDay":"102401GiB"}} | /limits/bytesPerDay
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"bytesPerDay":"9999999999GiB"}} | /limits/bytesPerDay
          """)
  void check_refusesScopesAgentsAndGrants(ResourceKind kind, String document, String pointer) {
    assertThat(pointers(kind, document)).containsExactly(pointer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      nullValues = "-",
      textBlock =
          """
          {"kind":"tunnel","origin":"https://a.test"}                                       | -
          {"kind":"tunnel","origin":"https://a.test:8443","maxStream":"1h","enabled":false} | -
          {"kind":"tunnel","origin":"https://192.0.2.1"}                                    | /origin
          {"kind":"tunnel","origin":"https://[2001:db8::1]:443"}                            | /origin
          {"kind":"tunnel","origin":"https://a.test/"}                                      | /origin
          {"kind":"tunnel","origin":"https://A.test"}                                       | /origin
          {"kind":"tunnel","origin":"https://a.test."}                                      | /origin
          {"kind":"tunnel","origin":"ssh://a.test:22"}                                      | /origin
          {"kind":"tunnel","origin":"https://a.test","maxStream":"25h"}                     | /maxStream
          {"kind":"tunnel","origin":"https://a.test","credential":{"source":"file","name":"f"}} | /credential
          {"kind":"tunnel","origin":"https://a.test","slot":{"header":"x-a"}}               | /slot
          {"kind":"tunnel","origin":"https://a.test","timeout":"1s"}                        | /timeout
          {"kind":"tunnel","origin":"https://a.test","maxRequestBody":"1MiB"}               | /maxRequestBody
          {"kind":"tunnel","origin":"https://a.test","http2":true}                          | /http2
          {"kind":"tunnel","origin":"https://a.test","audit":"full"}                        | /audit
          {"kind":"tunnel","origin":"https://a.test","rewriteBodies":true}                  | /rewriteBodies
          {"kind":"tunnel","origin":"https://a.test","rawPath":true}                        | /rawPath
          """)
  void check_ofATunnel_refusesWhatWouldHaveToBeRead(String document, String pointer) {
    assertThat(pointers(ResourceKind.DESTINATION, document))
        .isEqualTo(pointer == null ? List.of() : List.of(pointer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      nullValues = "-",
      textBlock =
          """
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"valetkey"} | -
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"Valetkey of team a, no"} | /commonName
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"a  b"} | /commonName
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} | /commonName
          {"source":"vault-pki","mount":"pki","role":"r","uriSan":"spiffe://example.org/valetkey"} | -
          {"source":"vault-pki","mount":"pki","role":"r","uriSan":"spiffe://example.org/a,b"} | /uriSan
          {"source":"vault-pki","mount":"pki","role":"r","uriSan":"spiffe://u@example.org/a"} | /uriSan
          {"source":"vault-pki","mount":"pki","role":"r","uriSan":"spiffe://example.org/a?b"} | /uriSan
          {"source":"vault-pki","mount":"pki","role":"r","uriSan":"urn:a:b"} | /uriSan
          {"source":"vault-pki","mount":"pki","role":"r"} | /commonName
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"a","ttl":"59s"} | /ttl
          {"source":"vault-pki","mount":"pki","role":"r","commonName":"a","ttl":"61m"} | /ttl
          {"source":"vault-pki","mount":"pki","role":"a/../b","commonName":"a"} | /role
          {"source":"vault-pki","mount":"pki/../x","role":"r","commonName":"a"} | /mount
          """)
  void check_ofAClientCertificate(String certificate, String pointer) {
    String document =
        "{\"kind\":\"http\",\"origin\":\"https://a.test\",\"clientCertificate\":%s}"
            .formatted(certificate);
    assertThat(pointers(ResourceKind.DESTINATION, document))
        .isEqualTo(pointer == null ? List.of() : List.of("/clientCertificate" + pointer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"kind":"tunnel","origin":"https://a.test",@}                                     | /clientCertificate
          {"kind":"http","origin":"https://a.test",@,"slot":{"header":"x-a"}}               | /slot
          {"kind":"http","origin":"https://a.test",@,"slots":[{"header":"x-a"}]}            | /slots
          """)
  void check_ofAClientCertificate_refusesItWhereItIsNothingFor(String document, String pointer) {
    String certificate =
        "\"clientCertificate\":{\"source\":\"vault-pki\",\"mount\":\"pki\",\"role\":\"r\",\"commonName\":\"a\"}";
    assertThat(pointers(ResourceKind.DESTINATION, document.replace("@", certificate)))
        .containsExactly(pointer);
  }

  @Test
  void check_ofAScopeForTunnels_takesTrueAndNothingBeside() {
    assertThat(pointers(ResourceKind.SCOPE, "{\"tunnel\":true,\"maxTokenTtl\":\"1m\"}")).isEmpty();
    assertThat(pointers(ResourceKind.SCOPE, "{\"tunnel\":false}")).containsExactly("/tunnel");
    assertThat(pointers(ResourceKind.SCOPE, "{\"tunnel\":true,\"lease\":{}}"))
        .containsExactly("/tunnel");
  }

  private List<String> originErrors(String origin) {
    return validator
        .check(
            new DestinationSpec(
                DestinationSpec.DestinationKind.HTTP,
                origin,
                new DestinationSpec.Credential.File("f"),
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null))
        .stream()
        .map(FieldError::pointer)
        .toList();
  }

  private static String jwks(String key) {
    return """
    {"type": "oidc", "issuer": "https://x.test", "keys": {"jwks": {"keys": [%s]}}}\
    """
        .formatted(key);
  }

  private List<String> pointers(ResourceKind kind, String document) {
    return errors(kind, document).stream().map(FieldError::pointer).toList();
  }

  private List<FieldError> errors(ResourceKind kind, String document) {
    return validator.check(new ResourceJson().read(kind, Documents.json(document)));
  }
}
