package io.valetkey.broker.policy;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * An immutable hash table of elements that hold their own keys: a slot is one reference, where a
 * map has an object for each entry. It is cheap to change: a copy shares every shard that did not
 * change, so that one new agent among many costs a thousandth of the table.
 */
final class ShardedTable<E> {

  private static final int SHARDS = 1024;
  private static final Object[] NO_SLOTS = new Object[0];

  /** Open addressing with linear probing; the number of slots is a power of two, or 0. */
  private final Object[][] shards;

  private final int size;

  private ShardedTable(Object[][] shards, int size) {
    this.shards = shards;
    this.size = size;
  }

  /** A table without elements. */
  static <E> ShardedTable<E> empty() {
    Object[][] shards = new Object[SHARDS][];
    Arrays.fill(shards, NO_SLOTS);
    return new ShardedTable<>(shards, 0);
  }

  /** How many elements it has. */
  int size() {
    return size;
  }

  /**
   * Finds an element.
   *
   * @param hash of its key
   * @param wanted tells it from others with the same hash
   */
  @Nullable E find(int hash, Predicate<E> wanted) {
    return find(shards[shard(hash)], hash, wanted);
  }

  /** Calls {@code action} with every element. */
  void forEach(Consumer<E> action) {
    for (Object[] shard : shards) {
      forEach(shard, action);
    }
  }

  /** Begins a changed copy; the hash must be that of the key, whoever asks for it. */
  Change<E> change(ToIntFunction<E> hash) {
    return new Change<>(this, hash);
  }

  @SuppressWarnings("unchecked")
  private static <E> @Nullable E find(Object[] slots, int hash, Predicate<E> wanted) {
    int mask = slots.length - 1;
    for (int i = slot(hash); slots.length > 0 && slots[i & mask] != null; i++) {
      E element = (E) slots[i & mask];
      if (wanted.test(element)) {
        return element;
      }
    }
    return null;
  }

  @SuppressWarnings("unchecked")
  private static <E> void forEach(Object[] slots, Consumer<E> action) {
    for (Object element : slots) {
      if (element != null) {
        action.accept((E) element);
      }
    }
  }

  private static int shard(int hash) {
    return (spread(hash) >>> 16) & (SHARDS - 1);
  }

  private static int slot(int hash) {
    return spread(hash) & 0xffff;
  }

  private static int spread(int hash) {
    int mixed = hash * 0x9E3779B9;
    return mixed ^ (mixed >>> 15);
  }

  /** A changed copy in the making; belongs to one thread. */
  static final class Change<E> {

    private final Object[][] shards;
    private final boolean[] own = new boolean[SHARDS];
    private final int[] used = new int[SHARDS];
    private final ToIntFunction<E> hash;
    private int size;

    private Change(ShardedTable<E> from, ToIntFunction<E> hash) {
      this.shards = from.shards.clone();
      this.size = from.size;
      this.hash = hash;
    }

    @Nullable E find(int keyHash, Predicate<E> wanted) {
      return ShardedTable.find(shards[shard(keyHash)], keyHash, wanted);
    }

    /** Adds an element; what has the same key must have been removed before. */
    void add(E element) {
      int shard = shard(hash.applyAsInt(element));
      makeOwn(shard);
      int length = shards[shard].length;
      if ((used[shard] + 1) * 4 > length * 3) {
        rebuild(shard, Math.max(4, length * 2), other -> true);
      }
      insert(shards[shard], element);
      used[shard]++;
      size++;
    }

    /** Puts an element in the place of another that is there and has the same key. */
    void replace(E old, E element) {
      int keyHash = hash.applyAsInt(old);
      makeOwn(shard(keyHash));
      Object[] slots = shards[shard(keyHash)];
      int i = slot(keyHash);
      while (!old.equals(slots[i & (slots.length - 1)])) {
        i++;
      }
      slots[i & (slots.length - 1)] = element;
    }

    /** Removes what is equal to the element, if it is there. */
    void remove(E element) {
      int shard = shard(hash.applyAsInt(element));
      makeOwn(shard);
      int before = used[shard];
      rebuild(shard, shards[shard].length, other -> !other.equals(element));
      size -= before - used[shard];
    }

    private void makeOwn(int shard) {
      if (!own[shard]) {
        shards[shard] = shards[shard].clone();
        own[shard] = true;
        ShardedTable.<E>forEach(shards[shard], element -> used[shard]++);
      }
    }

    private void rebuild(int shard, int length, Predicate<E> kept) {
      Object[] slots = new Object[length];
      used[shard] = 0;
      ShardedTable.<E>forEach(
          shards[shard],
          element -> {
            if (kept.test(element)) {
              insert(slots, element);
              used[shard]++;
            }
          });
      shards[shard] = slots;
    }

    private void insert(Object[] slots, E element) {
      int i = slot(hash.applyAsInt(element));
      while (slots[i & (slots.length - 1)] != null) {
        i++;
      }
      slots[i & (slots.length - 1)] = element;
    }

    /** The finished copy. The change must not be used afterwards. */
    ShardedTable<E> done() {
      return new ShardedTable<>(shards, size);
    }
  }
}
