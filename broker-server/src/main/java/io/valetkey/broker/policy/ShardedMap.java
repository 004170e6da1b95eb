package io.valetkey.broker.policy;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An immutable map that is cheap to change: a copy shares every shard that did not change, so that
 * one new grant among a million costs a thousandth of the map.
 */
final class ShardedMap<K, V> {

  private static final int SHARDS = 1024;

  private final Map<K, V>[] shards;
  private final int size;

  private ShardedMap(Map<K, V>[] shards, int size) {
    this.shards = shards;
    this.size = size;
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static <K, V> Map<K, V>[] array() {
    return new Map[SHARDS];
  }

  /** A map without entries. */
  static <K, V> ShardedMap<K, V> empty() {
    Map<K, V>[] shards = array();
    for (int i = 0; i < SHARDS; i++) {
      shards[i] = Map.of();
    }
    return new ShardedMap<>(shards, 0);
  }

  /** The value of a key, or null. */
  @Nullable V get(K key) {
    return shards[shard(key)].get(key);
  }

  /** How many entries it has. */
  int size() {
    return size;
  }

  /** Calls {@code action} with every value. */
  void forEachValue(Consumer<V> action) {
    for (Map<K, V> shard : shards) {
      shard.values().forEach(action);
    }
  }

  private static int shard(Object key) {
    int hash = key.hashCode() * 0x9E3779B9;
    return (hash >>> 16) & (SHARDS - 1);
  }

  /** Begins a changed copy. */
  Change<K, V> change() {
    return new Change<>(this);
  }

  /** A changed copy in the making; belongs to one thread. */
  static final class Change<K, V> {

    private final Map<K, V>[] shards;
    private final boolean[] own = new boolean[SHARDS];
    private int size;

    private Change(ShardedMap<K, V> from) {
      this.shards = from.shards.clone();
      this.size = from.size;
    }

    @Nullable V get(K key) {
      return shards[shard(key)].get(key);
    }

    void put(K key, V value) {
      if (own(key).put(key, value) == null) {
        size++;
      }
    }

    void remove(K key) {
      if (own(key).remove(key) != null) {
        size--;
      }
    }

    private Map<K, V> own(K key) {
      int shard = shard(key);
      if (!own[shard]) {
        shards[shard] = new HashMap<>(shards[shard]);
        own[shard] = true;
      }
      return shards[shard];
    }

    /** The finished copy. The change must not be used afterwards. */
    ShardedMap<K, V> done() {
      return new ShardedMap<>(shards, size);
    }
  }
}
