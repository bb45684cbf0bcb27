package io.tillstream.flink;

import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.formats.parquet.row.ParquetRowDataBuilder;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeParser;
import org.apache.hadoop.conf.Configuration;

/** Exactly-once Parquet files in dated folders. A file is seen once its checkpoint is complete. */
public final class ParquetFiles {
    private ParquetFiles() {}

    /** A row type from its SQL form, e.g. {@code ROW<id STRING NOT NULL, n BIGINT>}. */
    public static RowType rowType(String sql) {
        LogicalType type =
                LogicalTypeParser.parse(sql, Thread.currentThread().getContextClassLoader());
        if (!(type instanceof RowType)) {
            throw new IllegalArgumentException("expected ROW<...>, got " + type);
        }
        return (RowType) type;
    }

    /**
     * @param folder where the dated folders go, with its scheme
     * @param epochMsField BIGINT column whose UTC date names the folder
     * @param regionField STRING column for the second folder level, or null
     * @param filePrefix beginning of each file's name
     * @param compression a Parquet codec's name, e.g. ZSTD
     */
    public static FileSink<RowData> sink(
            String folder,
            RowType type,
            String epochMsField,
            String regionField,
            String filePrefix,
            String compression) {
        Configuration parquet = new Configuration(false);
        parquet.set("parquet.compression", compression);
        int region = regionField == null ? -1 : column(type, regionField);
        return FileSink.forBulkFormat(
                        new Path(folder),
                        ParquetRowDataBuilder.createWriterFactory(type, parquet, true))
                .withBucketAssigner(new DatedBuckets(column(type, epochMsField), region))
                .withRollingPolicy(OnCheckpointRollingPolicy.build())
                .withOutputFileConfig(
                        OutputFileConfig.builder()
                                .withPartPrefix(filePrefix)
                                .withPartSuffix(".parquet")
                                .build())
                .build();
    }

    private static int column(RowType type, String field) {
        int position = type.getFieldIndex(field);
        if (position < 0) {
            throw new IllegalArgumentException("no column '" + field + "' in " + type);
        }
        return position;
    }
}
