module paceline/benchmarks/peers/go

go 1.19
