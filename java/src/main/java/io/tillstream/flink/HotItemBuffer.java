package io.tillstream.flink;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Items that wait to be written: at most one version per key, the newest. Not thread-safe.
 *
 * <p>An item is urgent, to be written as soon as may be, or held: it may wait for newer versions
 * until it is due or until the buffer fills up. At most one request per key is in flight.
 */
final class HotItemBuffer {
    private final int limit;
    private final boolean merge;
    private final Map<String, HotItem> urgent = new LinkedHashMap<>();
    private final Map<String, HotItem> held = new LinkedHashMap<>();
    private final Map<String, HotItem> inFlight = new HashMap<>();

    /** {@code merge}: a newer version takes over what only the older one brings. */
    HotItemBuffer(int limit, boolean merge) {
        this.limit = limit;
        this.merge = merge;
    }

    boolean isFull() {
        return size() >= limit;
    }

    /** Held items are written before the buffer is full: the job is not to wait for the table. */
    boolean isFilling() {
        return size() > limit / 4 * 3;
    }

    boolean contains(String key) {
        return urgent.containsKey(key) || held.containsKey(key);
    }

    int size() {
        return urgent.size() + held.size();
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

    /** Takes an item in; true if it was merged with one that waited already. */
    boolean add(HotItem item, long nowNanos) {
        HotItem older = urgent.get(item.key);
        boolean wasUrgent = older != null;
        if (older == null) {
            older = held.get(item.key);
        }
        HotItem newest = older == null ? item : newer(older, item);
        // A key waits no longer for having changed again.
        long due = older == null ? item.dueNanos : Math.min(older.dueNanos, item.dueNanos);
        newest = newest.dueAt(due);
        if (wasUrgent) {
            urgent.put(item.key, newest);
        } else if (due - nowNanos > 0) {
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
        HotItem item = first(urgent);
        if (item == null && !held.isEmpty()) {
            HotItem oldest = held.values().iterator().next();
            if (live || oldest.dueNanos - nowNanos <= 0 || isFilling()) {
                item = first(held);
            }
        }
        if (item != null) {
            inFlight.put(item.key, item);
        }
        return item;
    }

    /** Nanoseconds until the oldest held item is due; {@link Long#MAX_VALUE} if none is held. */
    long nanosToNext(long nowNanos) {
        return held.isEmpty()
                ? Long.MAX_VALUE
                : Math.max(0, held.values().iterator().next().dueNanos - nowNanos);
    }

    void written(HotItem item) {
        inFlight.remove(item.key);
    }

    /** A version that came meanwhile for a key in flight, taken out to be written instead. */
    HotItem newerThan(HotItem item) {
        Map<String, HotItem> where = urgent.containsKey(item.key) ? urgent : held;
        HotItem newer = where.get(item.key);
        if (newer == null || newer.version < item.version) {
            return null;
        }
        where.remove(item.key);
        newer = newer(item, newer);
        inFlight.put(item.key, newer);
        return newer;
    }

    /** From now on nothing is held. */
    void releaseAll() {
        urgent.putAll(held);
        held.clear();
    }

    /** Every item that is not known to be written, in flight ones first. */
    List<HotItem> unwritten() {
        List<HotItem> all = new ArrayList<>(inFlight.values());
        all.addAll(urgent.values());
        all.addAll(held.values());
        return all;
    }

    private HotItem newer(HotItem older, HotItem item) {
        if (item.version < older.version) {
            return merge ? older.over(item) : older;
        }
        return merge ? item.over(older) : item;
    }

    /** Removes the oldest whose key has no request in flight: skips as many as there are threads. */
    private HotItem first(Map<String, HotItem> waiting) {
        Iterator<HotItem> oldestFirst = waiting.values().iterator();
        while (oldestFirst.hasNext()) {
            HotItem item = oldestFirst.next();
            if (!inFlight.containsKey(item.key)) {
                oldestFirst.remove();
                return item;
            }
        }
        return null;
    }
}
