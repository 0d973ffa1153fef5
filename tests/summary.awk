# Reads what `ctest -V` prints, shows one line for each test program and all that a failed one printed, and adds the tests up.
#
# A cmocka program counts once for each of its tests, everything else once. A program that CTest calls failed though none of its
# tests failed (a crash, a time-out, something left behind) counts as one more failure. Exit status 0: tests ran, and none failed.

function plural(n, what) { return n " " what (n == 1 ? "" : "s") }

# A test is "begun", then "passed", "skipped" or "failed", and what failed stays so. Only names that have begun count: in its list
# at the end cmocka puts a number where the name stands.
function cmocka_line(how) {
    name = $0
    sub(/^.*\] /, "", name)
    if (how == "begun" ? !(name in state) : name in state && state[name] != "failed") state[name] = how
}

/^ *Start +[0-9]+: / {
    delete state
    delete count
    output = ""
    cmocka = 0
    next
}

/^[0-9]+: / {
    sub(/^[0-9]+: /, "")
    output = /^Test timeout computed to be/ ? "" : output "    " $0 "\n" # what stands before is about CTest
    if (/\[=+\] .*Running/) cmocka = 1
    else if (/\[ RUN      \] /) cmocka_line("begun")
    else if (/\[       OK \] /) cmocka_line("passed")
    else if (/\[  SKIPPED \] /) cmocka_line("skipped")
    else if (/\[  FAILED  \] /) cmocka_line("failed")
    next
}

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    verdict = "failed"
    if (/ Passed +[0-9.]+ sec/) verdict = "passed"
    else if (/\*\*\*Skipped|\*\*\*Not Run \(Disabled\)/) verdict = "skipped"
    tests = 0
    for (name in state) {
        tests++
        count[state[name] == "begun" ? "failed" : state[name]]++
    }
    if (verdict == "skipped" || !cmocka) count[verdict]++
    else if (!tests || verdict == "failed" && !count["failed"]) count["failed"]++

    name = $0
    sub(/^.*#[0-9]+: /, "", name)
    sub(/ .*/, "", name)
    line = (count["failed"] ? "FAILED  " : verdict == "skipped" ? "skipped " : "ok      ") name
    if (cmocka) line = line " (" plural(tests, "test") (count["skipped"] ? ", " count["skipped"] " skipped" : "") ")"
    print line " " $(NF - 1) " s"
    if (count["failed"]) printf "%s    CTest: %s\n", output, $0
    else if (verdict == "skipped") printf "%s", output
    fflush()
    for (how in count) total[how] += count[how]
}

END {
    printf "%d passed, %d failed, %d skipped\n", total["passed"], total["failed"], total["skipped"]
    exit total["failed"] > 0 || total["passed"] == 0
}
