package io.valetkey.broker.condition;

import dev.cel.checker.CelStandardDeclarations;
import dev.cel.checker.CelStandardDeclarations.StandardFunction;
import dev.cel.common.CelAbstractSyntaxTree;
import dev.cel.common.CelIssue;
import dev.cel.common.CelOptions;
import dev.cel.common.CelValidationException;
import dev.cel.common.CelValidationResult;
import dev.cel.common.types.MapType;
import dev.cel.common.types.SimpleType;
import dev.cel.compiler.CelCompiler;
import dev.cel.compiler.CelCompilerFactory;
import dev.cel.parser.CelStandardMacro;
import dev.cel.runtime.CelEvaluationException;
import dev.cel.runtime.CelRuntime;
import dev.cel.runtime.CelRuntimeFactory;
import dev.cel.runtime.CelVariableResolver;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A condition in the Common Expression Language, compiled and type-checked. It has no regular
 * expressions, and ends: its text and the steps of its loops are bounded.
 *
 * @see <a href="https://github.com/google/cel-spec">Common Expression Language</a>
 */
public final class WhenCondition {

  /** The longest condition, in code points. */
  public static final int LONGEST = 4096;

  private static final int MOST_ITERATIONS = 1000;
  private static final int DEEPEST = 32;
  private static final int LONGEST_MESSAGE = 200;
  private static final String METHOD = "request.method";
  private static final String PATH = "request.path";
  private static final String QUERY = "request.query";
  private static final String HEADERS = "request.headers";
  private static final String AGENT = "agent.name";
  private static final String ISSUER = "agent.issuer";
  private static final String SUBJECT = "agent.subject";
  private static final String BODY = "body";

  /** Made when the first condition is compiled: a policy without any does not pay for it. */
  private static final class Environment {

    private static final CelOptions OPTIONS =
        CelOptions.current()
            .maxExpressionCodePointSize(LONGEST)
            .maxParseRecursionDepth(DEEPEST)
            .comprehensionMaxIterations(MOST_ITERATIONS)
            .enableHeterogeneousNumericComparisons(true)
            .build();

    private static final MapType TEXTS = MapType.create(SimpleType.STRING, SimpleType.STRING);

    private static final CelCompiler COMPILER =
        CelCompilerFactory.standardCelCompilerBuilder()
            .setOptions(OPTIONS)
            .setStandardMacros(CelStandardMacro.STANDARD_MACROS)
            .setStandardEnvironmentEnabled(false)
            .setStandardDeclarations(
                CelStandardDeclarations.newBuilder()
                    .excludeFunctions(StandardFunction.MATCHES)
                    .build())
            .addVar(METHOD, SimpleType.STRING)
            .addVar(PATH, SimpleType.STRING)
            .addVar(QUERY, TEXTS)
            .addVar(HEADERS, TEXTS)
            .addVar(AGENT, SimpleType.STRING)
            .addVar(ISSUER, SimpleType.STRING)
            .addVar(SUBJECT, SimpleType.STRING)
            .addVar(BODY, SimpleType.DYN)
            .setResultType(SimpleType.BOOL)
            .build();

    private static final CelRuntime RUNTIME =
        CelRuntimeFactory.plannerRuntimeBuilder().setOptions(OPTIONS).build();
  }

  /**
   * What a condition is asked about.
   *
   * @param query the query parameters; empty if the condition does not ask for them
   * @param headers the headers by lower-case name; empty if it does not ask for them
   * @param body the body's JSON; null if there is no body
   */
  record Subject(
      String method,
      String path,
      Asker asker,
      Map<String, String> query,
      Map<String, String> headers,
      @Nullable Object body) {

    Optional<Object> find(String name) {
      return Optional.ofNullable(
          switch (name) {
            case METHOD -> method;
            case PATH -> path;
            case QUERY -> query;
            case HEADERS -> headers;
            case AGENT -> asker.agent();
            case ISSUER -> asker.issuer();
            case SUBJECT -> asker.subject();
            case BODY -> body;
            default -> null;
          });
    }
  }

  private final CelRuntime.Program program;
  private final Set<Part> needs;

  private WhenCondition(CelRuntime.Program program, Set<Part> needs) {
    this.program = program;
    this.needs = needs;
  }

  /** Loads what every condition needs, which takes its time once in the life of a process. */
  public static void prepare() {
    var _ = compile("request.method == '' && body.all(x, x.y in ['z'])");
  }

  /**
   * Compiles a condition.
   *
   * @throws IllegalArgumentException with one sentence for the person who wrote it
   */
  public static WhenCondition compile(String text) {
    CelValidationResult checked = Environment.COMPILER.compile(text);
    if (checked.hasError()) {
      throw new IllegalArgumentException(describe(checked.getErrors()));
    }
    try {
      CelAbstractSyntaxTree tree = checked.getAst();
      return new WhenCondition(Environment.RUNTIME.createProgram(tree), needs(tree));
    } catch (CelValidationException | CelEvaluationException e) {
      throw new IllegalArgumentException("It cannot be compiled.", e);
    }
  }

  /** The parts of the request that it asks about. */
  Set<Part> needs() {
    return needs;
  }

  Verdict check(Subject subject) {
    try {
      CelVariableResolver resolver = subject::find;
      Object result = program.eval(resolver);
      if (result instanceof Boolean met) {
        return met ? Verdict.MET : Verdict.unmet("when is false");
      }
      return Verdict.failed("when is neither true nor false");
    } catch (CelEvaluationException e) {
      // Its message can hold what the request says.
      return Verdict.failed("when cannot be evaluated: " + e.getErrorCode());
    }
  }

  private static Set<Part> needs(CelAbstractSyntaxTree tree) {
    Set<Part> needs = EnumSet.noneOf(Part.class);
    tree.getReferenceMap()
        .values()
        .forEach(reference -> {
          switch (reference.name()) {
            case QUERY -> needs.add(Part.QUERY);
            case HEADERS -> needs.add(Part.HEADERS);
            case BODY -> needs.add(Part.BODY);
            case ISSUER, SUBJECT -> needs.add(Part.IDENTITY);
            default -> {}
          }
        });
    return needs;
  }

  private static String describe(List<CelIssue> issues) {
    CelIssue first = issues.getFirst();
    Function<String, String> shorten =
        text -> text.length() <= LONGEST_MESSAGE ? text : text.substring(0, LONGEST_MESSAGE);
    return "is no condition: line %d, column %d: %s"
        .formatted(
            first.getSourceLocation().getLine(),
            first.getSourceLocation().getColumn() + 1,
            shorten.apply(first.getMessage()));
  }
}
