package io.tillstream.flink;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Items that wait to be written: at most one version per key, the newest. Not thread-safe.
 *
 * <p>An item is urgent, to be written as soon as may be, or held: it may wait for newer versions
 * until it is due or until the buffer fills up. At most one request per key is in flight; what comes
 * for its key meanwhile waits in {@link #behind}, so that nobody looks at it in vain.
 */
final class HotItemBuffer {
    private final int limit;
    private final HotItem.Format format;
    private final Map<String, HotItem> urgent = new LinkedHashMap<>();
    private final Map<String, HotItem> held = new LinkedHashMap<>();
    private final Map<String, HotItem> inFlight = new HashMap<>();
    private final Map<String, HotItem> behind = new LinkedHashMap<>();

    HotItemBuffer(int limit, HotItem.Format format) {
        this.limit = limit;
        this.format = format;
    }

    boolean isFull() {
        return size() >= limit;
    }

    /** Held items are written before the buffer is full: the job is not to wait for the table. */
    boolean isFilling() {
        return size() > limit / 4 * 3;
    }

    /** It took in what was under way when a checkpoint was due, more than once. */
    boolean isOverfull() {
        return size() >= 2L * limit;
    }

    boolean contains(String key) {
        return urgent.containsKey(key) || held.containsKey(key) || behind.containsKey(key);
    }

    int size() {
        return urgent.size() + held.size() + behind.size();
    }

    int held() {
        return held.size();
    }

    /** Whether all that could be written now has been. */
    boolean nothingUrgent() {
        return urgent.isEmpty() && inFlight.isEmpty();
    }

    boolean isEmpty() {
        return nothingUrgent() && held.isEmpty();
    }

    /** For how long the item that came first has waited, held or not; 0 if none waits. */
    long oldestNanos(long nowNanos) {
        long oldest = 0;
        for (HotItem item : inFlight.values()) {
            oldest = Math.max(oldest, nowNanos - item.sinceNanos);
        }
        for (Map<String, HotItem> waiting : List.of(urgent, held, behind)) {
            if (!waiting.isEmpty()) {
                oldest = Math.max(oldest, nowNanos - first(waiting).sinceNanos);
            }
        }
        return oldest;
    }

    /** Takes an item in; true if it was merged with one that waited already. */
    boolean add(HotItem item, long nowNanos) {
        if (inFlight.containsKey(item.key)) {
            return behind.merge(item.key, item, format::newest) != item;
        }
        HotItem older = urgent.get(item.key);
        if (older != null) {
            urgent.put(item.key, format.newest(older, item));
            return true;
        }
        older = held.get(item.key);
        HotItem newest = older == null ? item : format.newest(older, item);
        if (newest.dueNanos - nowNanos > 0) {
            held.put(item.key, newest);
        } else {
            held.remove(item.key);
            urgent.put(item.key, newest);
        }
        return older != null;
    }

    /**
     * The next item to write, now in flight, or null if none is to be written yet; {@code live}:
     * what is held need not wait for newer versions.
     */
    HotItem take(long nowNanos, boolean live) {
        HotItem item = null;
        if (!urgent.isEmpty()) {
            item = urgent.remove(first(urgent).key);
        } else if (!held.isEmpty()
                && (live || first(held).dueNanos - nowNanos <= 0 || isFilling())) {
            item = held.remove(first(held).key);
        }
        if (item != null) {
            inFlight.put(item.key, item);
        }
        return item;
    }

    /** Nanoseconds until the oldest held item is due; {@link Long#MAX_VALUE} if none is held. */
    long nanosToNext(long nowNanos) {
        return held.isEmpty() ? Long.MAX_VALUE : Math.max(0, first(held).dueNanos - nowNanos);
    }

    /** The request for its key is over; true if another version waited for that. */
    boolean done(HotItem item, long nowNanos) {
        inFlight.remove(item.key);
        HotItem next = behind.remove(item.key);
        return next != null && !add(next, nowNanos);
    }

    /** The item in flight with what came for its key meanwhile; the same one if nothing did. */
    HotItem newest(HotItem item) {
        HotItem next = behind.remove(item.key);
        HotItem newest = next == null ? item : format.newest(item, next);
        inFlight.put(item.key, newest);
        return newest;
    }

    /** From now on nothing is held. */
    void releaseAll() {
        urgent.putAll(held);
        held.clear();
    }

    /** Every item that is not known to be written, in flight ones first. */
    List<HotItem> unwritten() {
        List<HotItem> all = new ArrayList<>(inFlight.values());
        all.addAll(behind.values());
        all.addAll(urgent.values());
        all.addAll(held.values());
        return all;
    }

    private static HotItem first(Map<String, HotItem> waiting) {
        return waiting.values().iterator().next();
    }
}
