package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Reads resources as they can be declared. */
public final class PolicyExport {

  /** The most that one answer holds. */
  public static final int MOST = 10_000;

  private final PolicyRows rows;

  /** Reads from this database. */
  public PolicyExport(DataSource dataSource) {
    this.rows = new PolicyRows(JdbcClient.create(dataSource), new StrictJson());
  }

  /**
   * What an owner keeps, in an order in which it could be created.
   *
   * @param owner the owner; empty for what was made by hand, null for everything
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is more than {@link #MOST}
   */
  public List<StoredResource> of(@Nullable String owner) {
    List<StoredResource> found;
    if (owner == null) {
      found = rows.all(MOST + 1);
    } else {
      found = owner.isEmpty() ? rows.ownedByNobody(MOST + 1) : rows.ownedBy(owner, MOST + 1);
    }
    if (found.size() > MOST) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST,
          "There are more than %d resources: ask for those of one owner.".formatted(MOST));
    }
    return found;
  }
}
