# lmcache.gp - percentiles of bench_lmcache: gnuplot -e "csv='FILE'; svg='FILE'" bench/lmcache.gp
#
# A point is the median of a call, a cross its 95th percentile, the end of the line the 99th. Calls of
# which fewer than 20 were made have no percentiles worth a picture.

set datafile separator ','
set terminal svg size 1500, 1100 dynamic background 'white' font 'sans,12'
set output svg

sides = 'limit loops nearkv pipeline "per key"'
colours = '#555555 #999999 #c0392b #2980b9 #27ae60'
fewest = 20

here(transport, io, side) = strcol(3) eq transport && column(4) == io && strcol(9) eq side && \
                            column(10) >= fewest
size(bytes) = bytes >= 1048576 ? sprintf('%d MiB', bytes / 1048576) : sprintf('%d KiB', bytes / 1024)
amount(n, bytes) = bytes < 1024 ? sprintf('%d keys', n) : sprintf('%d x %s', n, size(bytes))
label(unused) = sprintf('%s, %s', strcol(6), amount(column(8), column(7)))
place(s) = column(1) + (s - 3) * 0.14

stats csv skip 1 using 4 name 'IO' nooutput
stats csv skip 1 using 1 name 'LINE' nooutput
US_max = 1e6
stats csv skip 1 using (column(10) >= fewest ? column(13) : NaN) name 'US' nooutput
rows = IO_min == IO_max ? 1 : 2

set multiplot layout rows, 2 title 'bench-lmcache: microseconds of a call'
set logscale y
set grid ytics
set xrange [LINE_min - 0.6 : LINE_max + 0.6]
set yrange [1 : US_max * 2]
set format x ''
set xtics 1
set bmargin 11
set rmargin 12
set format y '10^{%L}'
set key top left horizontal
do for [row = 1 : rows] {
    io = row == 1 ? IO_min : IO_max
    do for [transport in 'unix tcp'] {
        set title sprintf('%s, io-threads %d', transport, io)
        plot for [s = 1 : 5] csv skip 1 \
                 using (here(transport, io, word(sides, s)) ? place(s) : NaN):11:11:13 \
                 with yerrorbars linecolor rgb word(colours, s) pointtype 7 pointsize 0.5 \
                 title word(sides, s), \
             for [s = 1 : 5] csv skip 1 \
                 using (here(transport, io, word(sides, s)) ? place(s) : NaN):12 \
                 with points linecolor rgb word(colours, s) pointtype 1 pointsize 0.5 notitle, \
             csv skip 1 \
                 using (here(transport, io, 'nearkv') ? column(1) : NaN):(1):(label(0)) \
                 with labels rotate by -40 left offset 0, -0.5 notitle
    }
}
unset multiplot
