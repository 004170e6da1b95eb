package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

class ShardedTableTest {

  private record Entry(int key, int value) {

    /** Few different ones, so that elements collide and end up in the same shard. */
    int hash() {
      return key % 5;
    }
  }

  /** Two of three operations add or replace, one removes; each batch makes a copy. */
  @Property(tries = 300)
  void change_agreesWithAMap_andLeavesEarlierTablesAsTheyWere(
      @ForAll @Size(max = 12) List<@Size(max = 40) List<@IntRange(max = 90) Integer>> batches) {
    ShardedTable<Entry> table = ShardedTable.empty();
    Map<Integer, Integer> model = new HashMap<>();
    List<ShardedTable<Entry>> tables = new ArrayList<>();
    List<Map<Integer, Integer>> models = new ArrayList<>();
    int serial = 0;
    for (List<Integer> batch : batches) {
      ShardedTable.Change<Entry> change = table.change(Entry::hash);
      for (int operation : batch) {
        int key = operation / 3;
        Entry entry = new Entry(key, serial++);
        Entry old = change.find(entry.hash(), other -> other.key() == key);
        if (operation % 3 == 2) {
          if (old != null) {
            change.remove(old);
          }
          model.remove(key);
        } else {
          if (old == null) {
            change.add(entry);
          } else {
            change.replace(old, entry);
          }
          model.put(key, entry.value());
        }
      }
      table = change.done();
      tables.add(table);
      models.add(Map.copyOf(model));
    }
    for (int i = 0; i < tables.size(); i++) {
      assertHolds(tables.get(i), models.get(i));
    }
  }

  private static void assertHolds(ShardedTable<Entry> table, Map<Integer, Integer> model) {
    assertThat(table.size()).isEqualTo(model.size());
    Map<Integer, Integer> found = new HashMap<>();
    table.forEach(entry -> found.put(entry.key(), entry.value()));
    assertThat(found).isEqualTo(model);
    for (int key = 0; key <= 31; key++) {
      int wanted = key;
      Entry entry = table.find(key % 5, other -> other.key() == wanted);
      assertThat(entry == null ? null : entry.value()).isEqualTo(model.get(key));
    }
  }
}
