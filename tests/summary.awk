# Reads what `ctest -V` prints, shows one line for each test program and all that a failed one printed, and adds the tests up.
#
# A cmocka program counts once for each of its tests, everything else once. A program that CTest calls failed though none of its
# tests failed (a crash, a time-out, something left behind) counts as one more failure. Tests may run side by side: each line of
# theirs begins with their number. Exit status 0: tests ran, and none failed.

function plural(n, what) { return n " " what (n == 1 ? "" : "s") }

# A test is "begun", then "passed", "skipped" or "failed", and what failed stays so. Only names that have begun count: in its list
# at the end cmocka puts a number where the name stands.
function cmocka_line(program, how) {
    name = $0
    sub(/^.*\] /, "", name)
    if (how == "begun" ? !((program, name) in state) : (program, name) in state && state[program, name] != "failed") {
        if (how == "begun") names[program] = names[program] name "\n"
        state[program, name] = how
    }
}

/^[0-9]+: / {
    program = $0
    sub(/: .*/, "", program)
    sub(/^[0-9]+: /, "")
    output[program] = /^Test timeout computed to be/ ? "" : output[program] "    " $0 "\n" # what stands before is about CTest
    if (/\[=+\] .*Running/) cmocka[program] = 1
    else if (/\[ RUN      \] /) cmocka_line(program, "begun")
    else if (/\[       OK \] /) cmocka_line(program, "passed")
    else if (/\[  SKIPPED \] /) cmocka_line(program, "skipped")
    else if (/\[  FAILED  \] /) cmocka_line(program, "failed")
    next
}

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    program = $0
    sub(/^.* Test +#/, "", program)
    sub(/: .*/, "", program)
    verdict = "failed"
    if (/ Passed +[0-9.]+ sec/) verdict = "passed"
    else if (/\*\*\*Skipped|\*\*\*Not Run \(Disabled\)/) verdict = "skipped"
    delete count
    tests = split(names[program], name_of, "\n") - 1
    for (i = 1; i <= tests; i++) {
        how = state[program, name_of[i]]
        count[how == "begun" ? "failed" : how]++
    }
    if (tests < 0) tests = 0
    if (verdict == "skipped" || !cmocka[program]) count[verdict]++
    else if (!tests || verdict == "failed" && !count["failed"]) count["failed"]++

    name = $0
    sub(/^.*#[0-9]+: /, "", name)
    sub(/ .*/, "", name)
    line = (count["failed"] ? "FAILED  " : verdict == "skipped" ? "skipped " : "ok      ") name
    if (cmocka[program]) line = line " (" plural(tests, "test") (count["skipped"] ? ", " count["skipped"] " skipped" : "") ")"
    print line " " $(NF - 1) " s"
    if (count["failed"]) printf "%s    CTest: %s\n", output[program], $0
    else if (verdict == "skipped") printf "%s", output[program]
    fflush()
    for (how in count) total[how] += count[how]
}

END {
    printf "%d passed, %d failed, %d skipped\n", total["passed"], total["failed"], total["skipped"]
    exit total["failed"] > 0 || total["passed"] == 0
}
